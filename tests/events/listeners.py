"""A real HTTP server on loopback that receives webhooks, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What it gets."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()


Answers = Callable[[Received], Answer | None]


class Listener:
    """Keeps what comes; `answers` says what each request gets, None that the connection breaks."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: Answers = lambda _: Answer()
        keeper = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                one = Received(self.path, headers, self.rfile.read(length))
                keeper.received.append(one)
                answer = keeper.answers(one)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.received]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener that runs within the block."""
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.server.shutdown()
        listener.server.server_close()
        thread.join()
