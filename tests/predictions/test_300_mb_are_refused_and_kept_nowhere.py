"""300 MB get 413 on every route, however they are announced, and of them less than 10 MB ever lie on a disk."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import ENDPOINT
from servers import Server

PREDICT = f"POST /api/v1/{ENDPOINT}/predict"
FORM = "Content-Type: multipart/form-data; boundary=part"
JSON = "Content-Type: application/json"
SIZE, PIECE = 300_000_000, b" " * 65_536
MOST_ON_DISK = 10_000_000

# What is asked, with the key of which scope, and the status.
CASES = [
    (PREDICT, "predict", JSON, 413),
    (PREDICT, None, JSON, 401),
    ("PUT /api/v1/mlrequests/01990000-0000-7000-8000-000000000000", "feedback", JSON, 413),
    ("POST /api/v1/mlrequests/feedback", "feedback", "Content-Type: text/csv", 413),
    ("POST /api/v1/mlalgorithms", "predict", FORM, 413),
    ("POST /api/v1/mlalgorithms", None, FORM, 413),
    ("POST /login", None, FORM, 413),
    ("POST /admin/login/", None, "Content-Type: application/x-www-form-urlencoded", 413),
    ("POST /admin/endpoints/endpoint/add/", None, FORM + "\r\nCookie: sessionid=none", 413),
    ("POST /nothing/here", None, JSON, 413),
    ("POST /nothing/here", "wrong", JSON, 401),
    ("GET /healthz", None, JSON, 413),
]


class Disk:
    """The most bytes seen in files of the server's: those in its work folder, and those without a name."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self.most_bytes = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[Disk]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            named = sum(one.stat().st_size for one in (self._server.home.folder / "work").rglob("*") if one.is_file())
            self.most_bytes = max(self.most_bytes, named + sum(self._nameless()))

    def _nameless(self) -> Iterator[int]:
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(process.name)) != self._server.pid:
                    continue
                for handle in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(handle.readlink()).endswith("(deleted)"):
                            yield handle.stat().st_size


def status_of(server: Server, asked: str, scope: str | None, header: str, *, chunked: bool) -> int:
    """The status of the reply to a body that is sent until there is one."""
    keys = {**server.home.keys, "wrong": "mlp_wrong"}
    key = f"X-Api-Key: {keys[scope]}\r\n" if scope else ""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
    head = f"{asked} HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}{header}\r\n{length}\r\n\r\n"
    piece = b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if chunked else PIECE
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        connection.setblocking(False)
        sent, until = 0, time.monotonic() + 30
        while sent < SIZE and time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                return int(connection.recv(65_536).split()[1])
            try:
                sent += connection.send(piece[sent % len(piece) :])
            except BlockingIOError:
                time.sleep(0.001)
    raise AssertionError("no reply")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize(("asked", "scope", "header", "status"), CASES)
def test_they_are_refused(door: Server, asked: str, scope: str | None, header: str, status: int, chunked: bool) -> None:
    with Disk(door).watched() as disk:
        assert status_of(door, asked, scope, header, chunked=chunked) == status
    print(f"{asked}: at most {disk.most_bytes:,} bytes on the disk")
    assert disk.most_bytes < MOST_ON_DISK
