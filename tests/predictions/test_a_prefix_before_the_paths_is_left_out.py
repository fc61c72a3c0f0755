"""A server that is told the prefix at which a proxy has it (`--root-path`) answers as without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from homes import Home
from people import PERSON
from servers import Server


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    # As `uvicorn --root-path /ml`: proxies strip the prefix, and uvicorn puts it before the path again.
    server = Server("asgi", module_home, {"UVICORN_ROOT_PATH": "/ml"}).start()
    yield server
    server.stop()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told(server: Server, path: str) -> None:
    with server.client(None) as client:
        assert client.get(path).status_code == 200


def test_predictions_and_feedback_are_taken(server: Server) -> None:
    reply = server.predict(PERSON)
    assert reply.status_code == 200, reply.text
    with server.client("feedback") as client:
        told = client.put(f"/api/v1/mlrequests/{reply.json()['request_id']}", json={"feedback": ">50K"})
    assert (told.status_code, told.json()["status"]) == (200, "accepted")


def test_the_control_plane_answers(server: Server) -> None:
    with server.client("read") as client:
        assert client.get("/api/v1/endpoints").status_code == 200
