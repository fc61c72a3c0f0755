"""A client that goes away after any number of bytes leaves nothing behind, and the whole upload is taken after it."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
import refusals
import wine
from servers import Server, wait_until

CUTS = 24


def _request(server: Server, name: str, *, chunked: bool) -> bytes:
    url = f"{server.url}{wine.UPLOADS}"
    header, _, rows = wine.csv().partition(b"\n")
    # Long enough for several packets, and for Django to write it to a file.
    files = {**wine.files(wine.skops_file(), "m.skops"), "reference": ("r.csv", header + b"\n" + 150 * rows)}
    request = httpx.Request("POST", url, data=wine.form(name), files=files)
    body = request.read()
    head = [
        f"POST {wine.UPLOADS} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {server.home.keys['manage']}",
        f"Content-Type: {request.headers['content-type']}",
        "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}",
    ]
    if chunked:
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_an_upload_may_be_cut_anywhere(door: Server, chunked: bool) -> None:
    before = refusals.traces(door)
    request = _request(door, f"cut-{door.door}-{chunked}", chunked=chunked)
    head = request.index(b"\r\n\r\n") + 4
    # More of them where the format is densest: in its head, at the first field, and at the very end.
    places = {head, head + 1, head + 100, len(request) - 1, len(request) - 3, len(request) - 5, len(request) - 60}
    places |= {1 + at * (len(request) - 2) // CUTS for at in range(CUTS)}
    for place in sorted(places):
        with socket.create_connection(("127.0.0.1", door.port)) as client:
            client.sendall(request[:place])
    wait_until(lambda: refusals.traces(door) == before)
    assert not list(Path(door.home.folder / "work").iterdir())
    assert "Traceback" not in door.log
    with door.client("predict") as client:
        assert client.post(wine.NEIGHBOUR, json=wine.ROW).status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_the_same_upload_in_full_is_taken(door: Server, chunked: bool) -> None:
    # Or the cuts above would prove nothing.
    request = _request(door, f"whole-{door.door}-{chunked}", chunked=chunked)
    with socket.create_connection(("127.0.0.1", door.port), timeout=60) as client:
        client.sendall(request)
        assert client.recv(4096).startswith(b"HTTP/1.1 201 ")
