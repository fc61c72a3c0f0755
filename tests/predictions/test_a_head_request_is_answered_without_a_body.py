"""HEAD, which load balancers and crawlers send: the head of the reply to GET, no body, and nothing in the log."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from homes import ENDPOINT
from servers import Server

from ml_pipeline.apps.predictions.doors.asgi import AsgiDoor
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.errors import MethodNotAllowed


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/endpoints", "/nothing/here", "/admin/login/"])
def test_head_has_the_status_and_the_length_of_get(door: Server, path: str) -> None:
    with door.client() as client:
        head, reply = client.head(path), client.get(path)
        # The connection is still in step.
        assert client.get("/healthz").status_code == 200
    assert (head.status_code, head.content) == (reply.status_code, b"")
    assert head.headers["content-type"] == reply.headers["content-type"]
    assert "warning" not in [line["level"] for line in door.lines]


def test_a_refusal_has_no_body_either(door: Server) -> None:
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as connection:
        connection.sendall(f"HEAD /api/v1/{ENDPOINT}/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        received = b""
        # A refused connection is closed once the client has had its reply.
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401")
    assert body == b""
    # gunicorn leaves such a body out by itself, and warns of it.
    assert "warning" not in [line["level"] for line in door.lines]


def test_the_asgi_door_itself_sends_none() -> None:
    # Servers leave it out, and hide what the door does.
    def refuse(_: Head) -> None:
        raise MethodNotAllowed("This route answers POST.", {"allowed": ["POST"]})

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    async def django(*_: Any) -> None:
        raise AssertionError("asked Django")

    sent: list[Mapping[str, Any]] = []
    exchange: Any = SimpleNamespace(service=SimpleNamespace(is_started=True), admit=refuse)
    scope = {"type": "http", "method": "HEAD", "path": "/refused", "query_string": b"", "headers": []}
    asyncio.run(AsgiDoor(exchange, django)(scope, receive, send))
    start, *bodies = sent
    assert start["status"] == 405
    assert b"".join(message["body"] for message in bodies) == b""
