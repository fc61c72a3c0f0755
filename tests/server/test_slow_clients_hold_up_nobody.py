"""200 slow clients, in their headers or in their bodies: predictions go on at their usual pace.

Behind uvicorn. gunicorn and uWSGI read requests in threads, which slow clients use up; docs/commands.md says so.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server

CLIENTS, ASKED, PAUSE_S = 200, 400, 2.0
PATH = f"/api/v1/{ENDPOINT}/predict"


def begun(server: Server, kind: str) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {server.home.keys['predict']}\r\n"
    if kind == "headers":
        return f"{head}X-Slow: ".encode()
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
        times = []
        for _ in range(ASKED):
            begun_at = time.perf_counter()
            assert client.post(PATH, json=PERSON).status_code == 200
            times.append(time.perf_counter() - begun_at)
    return sorted(times)[ASKED * 99 // 100]


def ratio(server: Server, kind: str) -> float:
    before = p99_s(server)
    with slow_clients(server, kind):
        during = p99_s(server)
    print(f"{server.door}, slow {kind}: p99 {before * 1000:.1f} ms before, {during * 1000:.1f} ms during")
    return during / before


@pytest.mark.parametrize("kind", ["headers", "bodies"])
def test_predictions_stay_below_twice_their_p99(start: Callable[..., Server], kind: str) -> None:
    server = start("asgi")
    p99_s(server)
    # Of several tries the best: what else runs on the machine makes a p99 larger, never smaller.
    assert any(ratio(server, kind) < 2 for _ in range(3))


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_a_body_by_the_byte_is_refused_and_its_connection_closed(start: Callable[..., Server], name: str) -> None:
    server = start(name)
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(begun(server, "bodies"))
        received, since = b"", time.monotonic()
        while time.monotonic() - since < 40:
            try:
                piece = connection.recv(65_536)
            except TimeoutError:
                with contextlib.suppress(OSError):
                    connection.send(b" ")
                continue
            except ConnectionResetError:
                break
            if not piece:
                break
            received += piece
        else:
            pytest.fail("the connection stays open")
    assert received.startswith(b"HTTP/1.1 400")
    assert b"did not come in time" in received
