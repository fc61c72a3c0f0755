"""HEAD, which load balancers and crawlers send: the head of the reply to GET, no body, and nothing in the log."""

from __future__ import annotations

import socket

import pytest
from homes import ENDPOINT
from servers import Server


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/endpoints", "/nothing/here", "/admin/login/"])
def test_head_has_the_status_and_the_length_of_get(door: Server, path: str) -> None:
    with door.client() as client:
        head, reply = client.head(path), client.get(path)
        # The connection is still in step.
        assert client.get("/healthz").status_code == 200
    assert (head.status_code, head.content) == (reply.status_code, b"")
    assert head.headers["content-type"] == reply.headers["content-type"]
    assert "WARNING" not in door.log


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
