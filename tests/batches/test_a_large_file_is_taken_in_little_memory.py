"""Files up to the bound go through disk, above it they are refused unread; one that is cut off leaves nothing."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sent
from homes import ENDPOINT, Home
from servers import Server, wait_until

LIMIT_MB = 60
MB = 1_000_000
# What a server may take more while it takes 55 MB.
MORE_MB = 25
CUTS = 12


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def bounded(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    server = Server(request.param, module_home, {"ML_PIPELINE_BATCH_MB": str(LIMIT_MB)}).start()
    yield server
    server.stop()


class _Long(io.RawIOBase):
    """A CSV of so many bytes, made as it is read, which says how much memory the server has meanwhile."""

    def __init__(self, size_bytes: int, server: Server) -> None:
        self._content = io.BytesIO(sent.people(0) + b"x\n" * ((size_bytes - len(sent.people(0))) // 2))
        self._server = server
        self.most_mb = 0.0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._content.tell() % MB < 65_536:
            self.most_mb = max(self.most_mb, resident_mb(self._server))
        return self._content.read(size)


def resident_mb(server: Server) -> float:
    """Memory of the server and its children."""
    total = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if server.pid in (parent, int(process.name)):
                    total += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                continue
    return total / MB


def _head(server: Server, size: str, path: str = sent.BATCHES, scope: str = "predict") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {server.home.keys[scope]}",
        "Content-Type: multipart/form-data; boundary=x",
        size,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_file_below_the_bound_goes_through_disk(bounded: Server) -> None:
    assert sent.is_well(bounded)
    # What is imported with the first one is not counted.
    assert sent.post(bounded, sent.people()).status_code == 202
    before = resident_mb(bounded)
    body = _Long(55 * MB, bounded)
    reply = sent.post(bounded, body)
    assert reply.status_code == 202, reply.text
    after = resident_mb(bounded)
    print(f"{bounded.door}: {before:.0f} MB before, {body.most_mb:.0f} while it came, {after:.0f} afterwards")
    assert max(body.most_mb, after) - before < MORE_MB
    assert reply.json()["input_bytes"] > 54 * MB
    # It is removed when the reply is on its way.
    wait_until(lambda: not list((bounded.home.folder / "work").iterdir()), 60)


def test_above_the_bound_it_is_refused_unread(bounded: Server) -> None:
    before = sent.traces(bounded)
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=20) as client:
        client.sendall(_head(bounded, f"Content-Length: {LIMIT_MB * MB + 1}"))
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    with bounded.client("predict") as client:
        zeros = (bytes(MB) for _ in range(LIMIT_MB + 10))
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        chunked = client.post(sent.BATCHES, content=zeros, headers=headers)
    assert (chunked.status_code, chunked.json()["error"]["details"]) == (413, {"limit_bytes": LIMIT_MB * MB})
    assert sent.traces(bounded) == before


@pytest.mark.parametrize("scope", ["read", "feedback"])
def test_a_key_that_may_not_predict_sends_no_large_file(bounded: Server, scope: str) -> None:
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=20) as client:
        client.sendall(_head(bounded, "Content-Length: 50000000", scope=scope))
        assert client.recv(65_536).split()[1] in (b"403", b"413")


def test_what_is_answered_at_once_is_bounded_as_other_bodies(bounded: Server) -> None:
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=20) as client:
        client.sendall(_head(bounded, "Content-Length: 10000001", "/api/v1/batch-predict"))
        answer = b""
        while b"}}" not in answer:
            answer += client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Send a larger file to /api/v1/batches." in answer


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_file_may_be_cut_off_anywhere(bounded: Server, chunked: bool) -> None:
    before = sent.traces(bounded)
    files = {"file": ("people.csv", sent.people(0) + b"x\n" * MB)}
    request = httpx.Request("POST", f"{bounded.url}{sent.BATCHES}", data={"endpoint": ENDPOINT}, files=files)
    body = request.read()
    kind = request.headers["content-type"].rpartition("=")[2].encode()
    head = _head(bounded, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    head = head.replace(b"boundary=x", b"boundary=" + kind)
    if chunked:
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    whole = head + body
    places = {len(head), len(head) + 1, len(whole) - 1, len(whole) - 5, len(whole) - 70}
    for place in sorted(places | {1 + at * (len(whole) - 2) // CUTS for at in range(CUTS)}):
        with socket.create_connection(("127.0.0.1", bounded.port)) as client:
            client.sendall(whole[:place])
    wait_until(lambda: sent.traces(bounded) == before)
    # In full it is taken, or the cuts would prove nothing.
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=60) as client:
        client.sendall(whole)
        assert client.recv(4096).startswith(b"HTTP/1.1 202 ")
    assert sent.is_well(bounded)
    assert "Traceback" not in bounded.log


def test_a_killed_server_leaves_only_what_a_clean_up_removes(module_home: Home) -> None:
    server = Server("asgi", module_home, {}).start()
    before = sent.traces(server)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(_head(server, "Content-Length: 50000000") + b"x" * 20 * MB)
        server.kill()
    (module_home.folder / "work" / "tmpabc.upload.csv").write_bytes(b"begun")
    strange = module_home.folder / "batches" / ("0" * 32)
    strange.mkdir(parents=True)
    (strange / "input").write_bytes(b"stored, and no job")
    module_home.manage("clean_up", "--grace-s", "0")
    again = Server("asgi", module_home, {}).start()
    assert sent.traces(again) == before
    again.stop()
