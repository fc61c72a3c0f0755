"""Uploads byte by byte: forms that no client library would make, and what a server holds while they come in."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import processes
import wine
from servers import Server

CLOSING = b"\r\n--x--\r\n"


def part(name: str, file_name: str | None = None) -> bytes:
    """How a part of the form begins; with `file_name`, one that says that it is a file."""
    said = f'name="{name}"' if file_name is None else f'name="{name}"; filename="{file_name}"'
    return f"\r\n--x\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode()


def posted(server: Server, beginning: bytes, megabytes: int = 0) -> httpx.Response:
    """The reply to a form of `beginning`, so many megabytes of the letter a, and its end."""
    size = len(beginning) + megabytes * 1_000_000 + len(CLOSING)
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(size)}

    def pieces() -> Iterator[bytes]:
        yield beginning
        for _ in range(megabytes):
            yield b"a" * 1_000_000
        yield CLOSING

    with server.client("manage") as client:
        return client.post(wine.UPLOADS, content=pieces(), headers=headers)


def begun(server: Server, megabytes: int) -> socket.socket:
    """The connection of an upload of which so many megabytes have been sent, and many are to follow."""
    head = [
        f"POST {wine.UPLOADS} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"X-Api-Key: {server.home.keys['manage']}",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Length: 100000000",
    ]
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + part("artifact", "m.onnx"))
    connection.sendall(b"a" * 1_000_000 * megabytes)
    return connection


def nameless_files(server: Server) -> list[str]:
    """Where each large file without a name lies that the server has open."""
    found = []
    for pid in (server.pid, *processes.children_of(server.pid)):
        # A process may end meanwhile, and a file may be closed.
        with contextlib.suppress(OSError):
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    facts = one.stat()
                    if facts.st_nlink == 0 and facts.st_size >= 1_000_000:
                        found.append(str(one.readlink()))
    return found


def peak_bytes(server: Server) -> int:
    """The most memory that the server's processes have used so far, each at its own time."""
    total = 0
    for pid in (server.pid, *processes.children_of(server.pid)):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            status = Path(f"/proc/{pid}/status").read_text()
            if b"ml_pipeline.apps.ml" not in command and "VmHWM:" in status:
                total += int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return total
