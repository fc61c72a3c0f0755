"""A Content-Length that is anything but ASCII digits is refused at once, wherever the body is meant to go."""

from __future__ import annotations

import socket

import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server

PATHS = (f"/api/v1/{ENDPOINT}/predict", "/api/v1/endpoints", "/login")
LENGTHS = (
    "+5",
    "-5",
    "1_0",
    "0x5",
    "5.0",
    "5e0",
    "5 5",
    "5,5",
    "\uff11".encode(),
    "\u0665".encode(),
    b"\xb2",
    "9" * 25,
)


def told(server: Server, path: str, length: bytes) -> bytes:
    """The first line of the reply."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {server.home.keys['admin']}\r\nContent-Length: "
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(head.encode() + length + b"\r\n\r\n{}...")
        with connection.makefile("rb") as reply:
            return reply.readline()


@pytest.mark.parametrize("length", LENGTHS, ids=repr)
def test_it_is_refused(door: Server, length: str | bytes) -> None:
    for path in PATHS:
        line = told(door, path, length if isinstance(length, bytes) else length.encode())
        # Some servers end the connection on what is no HTTP.
        assert line == b"" or line.split()[1] in (b"400", b"413"), (path, line)
    assert door.predict(PERSON).status_code == 200
