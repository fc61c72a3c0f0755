"""fsync counted between commits and replies: a kill cannot tell whether SQLite waits for the disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import adders
import pytest
from homes import Home
from servers import Server, wait_until

ALONE = 100
CLIENTS = 32
EACH = 15
# What reads requests, writes replies, and writes and syncs files, with as much of the data as tells a request.
CALLS = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync"
LINE = re.compile(r"^(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)$")
ENDED = re.compile(r" = \d+$")
ASKED = f'"POST /api/v1/{adders.ENDPOINT}/predict?unit='


class TracedServer(Server):
    """A server whose reads, writes and syncs are written down in their order."""

    @property
    def trace(self) -> Path:
        return self.home.folder / f"{self.door}-{self.port}.strace"

    def _command(self) -> list[str]:
        # -D: the server is the process that was started, and its tracer is not.
        tracer = ["strace", "-D", "--seccomp-bpf", "-f", "-y", "-s", "80", "-e", "signal=none", "-e", f"trace={CALLS}"]
        return [*tracer, "-o", str(self.trace), *super()._command()]


@pytest.fixture(params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, home: Home) -> Iterator[TracedServer]:
    if shutil.which("strace") is None:
        pytest.fail("There is no strace, which counts what goes to the disk: apt-get install strace", pytrace=False)
    traced = TracedServer(request.param, home, {})
    try:
        traced.start()
        yield traced
    finally:
        traced.stop()


def events(trace: Path) -> Iterator[str]:
    """What happened, in order: `asked UNIT` once a request is read, `written` once a thread that has written to the
    write-ahead log has it on the disk, `replied` when a reply 200 begins to be written."""
    dirty: set[str] = set()
    begun: dict[str, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        thread, call, rest = found["thread"], found["call"] or found["resumed"], found["rest"]
        # What a call that was interrupted in the trace was called with stands where it began.
        given = begun.pop(thread, "") + rest if found["resumed"] else rest
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest
        is_log = "/db.sqlite3-wal>" in given
        if call == "pwrite64" and is_log and not found["resumed"]:
            dirty.add(thread)
        elif call in ("fsync", "fdatasync") and is_log and ENDED.search(rest) and thread in dirty:
            dirty.discard(thread)
            yield "written"
        elif call in ("read", "recvfrom", "recvmsg") and ASKED in given and ENDED.search(rest):
            yield f"asked {given.partition(ASKED)[2].partition(' ')[0]}"
        elif call in ("write", "writev", "sendto", "sendmsg") and '"HTTP/1.1 200' in given and not found["resumed"]:
            yield "replied"


def ask(server: Server, unit: str, times: int) -> None:
    with closing(adders.KeepAlive(server, f"?unit={unit}")) as connection:
        for x in range(times):
            connection.ask({"x": x})


def batches(home: Home) -> int:
    return int(adders.select(home, "SELECT count(*) FROM predictions_journalbatch")[0][0])


def happened(trace: Path) -> list[str]:
    """All events from the first request on, once the last reply is among them."""
    found: list[str] = []

    def is_complete() -> bool:
        steps = list(events(trace))
        found[:] = steps[steps.index("asked alone") :] if "asked alone" in steps else []
        return found.count("replied") == ALONE + CLIENTS * EACH

    wait_until(is_complete, 30)
    return found


def test_every_reply_comes_after_a_sync_that_came_after_its_request(server: TracedServer) -> None:
    ask(server, "alone", ALONE)
    before = batches(server.home)
    assert before == ALONE
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: ask(server, "crowd", EACH), range(CLIENTS)))
    commits = batches(server.home) - before
    found = happened(server.trace)
    assert found.count("asked alone") == ALONE
    assert found.count("asked crowd") == CLIENTS * EACH
    crowd = found.index("asked crowd")
    # Whatever else is written to the log meanwhile, such as that this process is alive, may add to them.
    steps = " ".join(found[:crowd]).replace("asked alone", "asked")
    assert re.fullmatch(r"(asked( written)+ replied( written)* ?)+", steps), steps
    assert found[:crowd].count("written") >= ALONE
    assert 0 < commits <= CLIENTS * EACH
    assert found[crowd:].count("written") >= commits
    # The first reply to them waits for the disk, too.
    assert "written" in found[crowd : found.index("replied", crowd)]
