"""Whatever a webhook's server does with a connection, it takes a worker little time and memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from told import LOOPBACK, NOTHING, sent

from ml_pipeline.apps.events.outcomes import Outcome, Verdict
from ml_pipeline.apps.events.webhooks import MAX_ANSWER_BYTES, Sender


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does `answer` with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(30)
                    with suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def dripping(connection: socket.socket) -> None:
    connection.recv(65_536)
    for _ in range(600):
        connection.sendall(b"H")
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def endless_head(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        connection.sendall(f"X-{number}: {'x' * 100}\r\n".encode())


def endless_continue(connection: socket.socket) -> None:
    connection.recv(65_536)
    for _ in range(1_000_000):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 10)


def no_http(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"220 mail.example.org ESMTP\r\n")


def endless_body(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"5\r\nhello\r\n" * 100)


@pytest.mark.parametrize("answer", [dripping, silent, endless_head, endless_continue, no_http])
def test_a_server_that_is_no_good_takes_little_time(answer: Callable[[socket.socket], None]) -> None:
    with answering(answer) as port:
        begun = time.monotonic()
        outcome = sent(f"http://127.0.0.1:{port}/", LOOPBACK, ("127.0.0.1",), total_s=1.0)
    assert outcome.verdict is Verdict.AWAY
    assert outcome.status is None
    # One second was allowed; the machine may be slow.
    assert time.monotonic() - begun < 20


def test_of_an_answer_its_head_is_read_alone() -> None:
    with answering(endless_body) as port:
        outcome = sent(f"http://127.0.0.1:{port}/", LOOPBACK, ("127.0.0.1",))
    assert outcome == Outcome(Verdict.DELIVERED, 200)
    assert MAX_ANSWER_BYTES == 16_384


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        over.wait(60)
        return []

    begun = time.monotonic()
    outcome = Sender(NOTHING, resolve=resolve, total_s=0.5).send("https://x.example.org/", {}, b"{}")
    assert outcome == Outcome(Verdict.AWAY, error="No connection was made in time.")
    assert time.monotonic() - begun < 30
    over.set()


def test_a_name_that_is_not_known_is_said() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror

    outcome = Sender(NOTHING, resolve=resolve).send("https://x.example.org/", {}, b"{}")
    assert outcome.error.endswith("or the name is not known.")
