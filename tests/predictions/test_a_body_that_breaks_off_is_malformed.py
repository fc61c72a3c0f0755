"""Behind WSGI a body that breaks off, or is chunked wrongly, is the client's error, and ends the connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server

CHUNKED = "Transfer-Encoding: chunked"
BROKEN = {
    "no size": (CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": (CHUNKED, b"2\r\n{}}}\r\n0\r\n\r\n"),
    "cut in a chunk": (CHUNKED, b"20\r\n{"),
    "cut before the last chunk": (CHUNKED, b"2\r\n{}\r\n"),
    "cut before its length": ("Content-Length: 20", b"{"),
}


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    server = Server("wsgi", module_home, {}).start()
    yield server
    server.stop()


def answer(server: Server, path: str, framing: str, body: bytes) -> tuple[bytes, bytes]:
    """Head and body of all that comes until the server closes the connection."""
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"X-Api-Key: {server.home.keys['admin']}",
        "Content-Type: application/json",
        framing,
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    first, _, rest = received.partition(b"\r\n\r\n")
    return first, rest


@pytest.mark.parametrize("path", [f"/api/v1/{ENDPOINT}/predict", "/api/v1/endpoints"])
@pytest.mark.parametrize(("framing", "body"), BROKEN.values(), ids=BROKEN.keys())
def test_it_is_the_clients_error(server: Server, path: str, framing: str, body: bytes) -> None:
    head, content = answer(server, path, framing, body)
    assert head.startswith(b"HTTP/1.1 400"), head
    assert b"content-type: application/json" in head.lower()
    assert json.loads(content)["error"]["code"] == "malformed"
    assert "Traceback" not in server.log
    assert server.predict(PERSON).status_code == 200
