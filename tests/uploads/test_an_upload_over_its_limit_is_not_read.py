"""Bodies over the limit, and bodies of whoever may not upload: refused by their head, before a byte of them is read."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import refusals
import wine
from homes import Home
from servers import Server

LIMIT_MB = 12
UNSENT = 50_000_000

_SESSION = """
import django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
user = User.objects.filter(username="person").first() or User.objects.create_superuser("person")
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value, end="")
"""


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def small(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    server = Server(request.param, module_home, {"ML_PIPELINE_UPLOAD_MB": str(LIMIT_MB)}).start()
    yield server
    server.stop()


def _headed(server: Server, size_bytes: int, *headers: str) -> tuple[int, Any]:
    # Only the head is sent: whoever waited for the body would wait for ever.
    head = [
        f"POST {wine.UPLOADS} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {size_bytes}",
        *headers,
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        answer = b""
        while b"}}" not in answer:
            part = client.recv(65_536)
            assert part, answer
            answer += part
    return int(answer.split()[1]), json.loads(answer[answer.index(b'{"error"') : answer.rindex(b"}}") + 2])["error"]


def _bearer(server: Server, scope: str) -> str:
    return f"Authorization: Bearer {server.home.keys[scope]}"


def _zeros(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes // 100_000):
        yield bytes(100_000)


def test_an_announced_upload_over_the_limit_is_refused_unread(small: Server) -> None:
    status, error = _headed(small, LIMIT_MB * 1_000_000 + 1, _bearer(small, "manage"))
    assert (status, error["code"], error["details"]) == (413, "too_large", {"limit_bytes": LIMIT_MB * 1_000_000})


def test_a_chunked_upload_is_cut_off_at_the_limit(small: Server) -> None:
    before = refusals.traces(small)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with small.client("manage") as client:
        reply = client.post(wine.UPLOADS, content=_zeros(15_000_000), headers=headers)
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "too_large"
    assert refusals.traces(small) == before


def test_between_the_bodies_of_others_and_its_own_limit_an_upload_is_read(small: Server) -> None:
    files = {"artifact": ("model.onnx", io.BytesIO(bytes(11_000_000)))}
    refusals.refused(small, {"eleven megabytes of nothing": files})


@pytest.mark.parametrize("scope", ["predict", "feedback", "read"])
def test_a_key_that_may_not_upload_is_refused_unread(small: Server, scope: str) -> None:
    status, error = _headed(small, UNSENT, _bearer(small, scope))
    assert (status, error["code"]) in {(403, "forbidden"), (413, "too_large")}


@pytest.mark.parametrize("headers", [(), ("Authorization: Bearer wrong",), ("X-Api-Key: ",)])
def test_whoever_has_no_key_is_refused_unread(small: Server, headers: tuple[str, ...]) -> None:
    status, error = _headed(small, UNSENT, *headers)
    assert (status, error["code"]) in {(401, "unauthenticated"), (413, "too_large")}


def test_a_session_has_the_limit_of_all_other_bodies(small: Server) -> None:
    cookie = f"Cookie: sessionid={small.home.python(_SESSION)}"
    status, error = _headed(small, 10_000_001, cookie)
    assert (status, error["code"]) == (413, "too_large")
