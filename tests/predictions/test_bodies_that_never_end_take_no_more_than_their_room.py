"""Under ASGI: however many bodies are on their way in, what is held of them is bounded, and others are told so."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until

from ml_pipeline.apps.predictions.doors.arrivals import MAX_HELD_BYTES

PREDICT, ENDPOINTS = f"/api/v1/{ENDPOINT}/predict", "/api/v1/endpoints"
SENT = 9_990_000
# They leave less room than the body that is asked with.
HOLDERS, ASKED = MAX_HELD_BYTES // SENT, 300_000


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    server = Server("asgi", module_home, {}).start()
    yield server
    server.stop()


@contextlib.contextmanager
def unfinished(server: Server, path: str, scope: str | None) -> Iterator[None]:
    """Bodies to `path` that lack their end, as many as there is room for."""
    # A session that there is not: it is Django that knows, once the body is there.
    key = f"X-Api-Key: {server.home.keys[scope]}\r\n" if scope else "Cookie: sessionid=none\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}Content-Length: {SENT + 1}\r\n\r\n".encode()
    with contextlib.ExitStack() as held:
        for _ in range(HOLDERS):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            connection.sendall(head + b" " * SENT)
        yield


def asked(server: Server, path: str, scope: str | None) -> httpx.Response:
    with server.client(scope, cookies={} if scope else {"sessionid": "none"}) as client:
        return client.post(path, content=json.dumps(PERSON).ljust(ASKED))


@pytest.mark.parametrize(
    ("path", "scope", "status"), [(PREDICT, "predict", 200), (ENDPOINTS, None, 401)], ids=["predictions", "without key"]
)
def test_without_room_a_body_is_refused_until_there_is_some(
    server: Server, path: str, scope: str | None, status: int
) -> None:
    with unfinished(server, path, scope):
        wait_until(lambda: asked(server, path, scope).status_code == 503)
        refused = asked(server, path, scope)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert "retry-after" in refused.headers
        with server.client(None) as client:
            assert client.get("/healthz").status_code == 200
    wait_until(lambda: asked(server, path, scope).status_code == status)


def test_whoever_has_no_key_takes_no_room_of_predictions(server: Server) -> None:
    with unfinished(server, ENDPOINTS, None):
        wait_until(lambda: asked(server, ENDPOINTS, None).status_code == 503)
        assert asked(server, PREDICT, "predict").status_code == 200
