"""200 slow clients, in their headers or in their bodies: predictions keep their usual pace. Deaf ones are given up."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server

CLIENTS, ASKED, PAUSE_S = 200, 1_000, 0.5
# Long enough for each slow client to have gone on a few times.
ASKED_S = 4 * PAUSE_S
FILE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
PATH = f"/api/v1/{ENDPOINT}/predict"


def begun(server: Server, kind: str) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {server.home.keys['predict']}\r\n"
    if kind == "headers":
        return f"{head}X-Slow: ".encode()
    if kind == "chunks":
        return f"{head}Transfer-Encoding: chunked\r\n\r\n190\r\n".encode()
    return f"{head}Content-Length: 400\r\n\r\n".encode()


@contextlib.contextmanager
def slow_clients(server: Server, kind: str) -> Iterator[None]:
    """They have all begun, and go on with a byte each now and then."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(PAUSE_S):
            for connection in connections:
                # Given up by the server, which is its right.
                with contextlib.suppress(OSError):
                    connection.send(b" ")

    with contextlib.ExitStack() as held:
        connections = [
            held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)) for _ in range(CLIENTS)
        ]
        for connection in connections:
            connection.sendall(begun(server, kind))
        sender = threading.Thread(target=go_on)
        sender.start()
        held.callback(sender.join)
        held.callback(over.set)
        yield


def p99_s(server: Server) -> float:
    with server.client("predict") as client:
        times: list[float] = []
        until = time.monotonic() + ASKED_S
        while len(times) < ASKED or time.monotonic() < until:
            begun_at = time.perf_counter()
            assert client.post(PATH, json=PERSON).status_code == 200
            times.append(time.perf_counter() - begun_at)
    return sorted(times)[len(times) * 99 // 100]


def ratio(server: Server, kind: str) -> float:
    before = p99_s(server)
    with slow_clients(server, kind):
        during = p99_s(server)
    print(f"{server.door}, slow {kind}: p99 {before * 1000:.1f} ms before, {during * 1000:.1f} ms during")
    return during / before


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
@pytest.mark.parametrize("kind", ["headers", "bodies", "chunks"])
def test_predictions_stay_below_twice_their_p99(start: Callable[..., Server], name: str, kind: str) -> None:
    server = start(name)
    p99_s(server)
    # Of several tries the best: what else runs on the machine makes a p99 larger, never smaller.
    assert any(ratio(server, kind) < 2 for _ in range(3))


def until_closed(connection: socket.socket, go_on: bytes) -> bytes:
    """What is received until the server closes, while `go_on` is sent twice a second."""
    connection.settimeout(0.5)
    received, since = b"", time.monotonic()
    while time.monotonic() - since < 40:
        try:
            piece = connection.recv(65_536)
        except TimeoutError:
            with contextlib.suppress(OSError):
                connection.send(go_on)
            continue
        except ConnectionResetError:
            return received
        if not piece:
            return received
        received += piece
    pytest.fail("the connection stays open")


@pytest.mark.parametrize(("name", "why"), [("asgi", b"did not come in time"), ("wsgi", b"The body ended after")])
def test_a_body_by_the_byte_is_refused_and_its_connection_closed(
    start: Callable[..., Server], name: str, why: bytes
) -> None:
    server = start(name)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(begun(server, "bodies"))
        received = until_closed(connection, b" ")
    assert received.startswith(b"HTTP/1.1 400")
    assert why in received


def test_headers_by_the_byte_are_given_up(start: Callable[..., Server]) -> None:
    server = start("wsgi")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(begun(server, "headers"))
        assert until_closed(connection, b"x") == b""


@pytest.mark.parametrize("what", ["predictions", "files"])
def test_clients_who_do_not_read_their_replies_are_given_up(start: Callable[..., Server], what: str) -> None:
    server = start("wsgi")
    if what == "predictions":
        rows = json.dumps([PERSON] * 2_000).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {server.home.keys['predict']}\r\n"
        request = f"{head}Content-Length: {len(rows)}\r\n\r\n".encode() + rows
    else:
        request = 1_000 * f"GET {FILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with contextlib.ExitStack() as held:
        # As many as it has threads. Each asks until nothing more goes through.
        for _ in range(4):
            connection = held.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", server.port))
            connection.settimeout(2)
            with pytest.raises(TimeoutError):
                connection.sendall(100 * request)
        assert server.predict(PERSON).status_code == 200
