"""On one SQLite file, whatever processes work on it, one connection checkpoints, and the log stays short."""

import fcntl
import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import log_faults
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until

from ml_pipeline.apps.predictions.checkpoints import LIMIT_BYTES, Checkpointer

# WAL_CKPT_LOCK. A recovery locks this byte and the next one, the last connection to close locks none of them.
TAKEN = re.compile(
    r"^(\d+) +fcntl\(\d+<[^>]*-shm>, F_SETLK, \{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=121, l_len=1\}"
)
WRITES = """
import django
django.setup()
from ml_pipeline.apps.accounts import keys
for number in range(400):
    keys.create(f"key-{number}", ["predict"], actor="tests")
"""


class TracedServer(Server):
    """A server whose locks are written down."""

    @property
    def trace(self) -> Path:
        return self.home.folder / f"{self.door}-{self.port}.strace"

    def _command(self) -> list[str]:
        # -D: the server is the process that was started, and its tracer is not.
        return ["strace", "-D", *tracing(self.trace), *super()._command()]


def tracing(file: Path) -> list[str]:
    return ["--seccomp-bpf", "-f", "-y", "-e", "trace=fcntl", "-e", "signal=none", "-o", str(file)]


def checkpoints(trace: Path) -> list[str]:
    """The thread of each checkpoint that was begun, from what strace wrote."""
    return [found[1] for line in trace.read_text().splitlines() if (found := TAKEN.match(line))]


def ask(server: Server, requests: int, rows: int = 300) -> None:
    """Many rows, from two clients at once: each request is more than a hundred pages of the log."""

    def client(count: int) -> None:
        with server.client("predict") as http:
            for _ in range(count):
                http.post(f"/api/v1/{ENDPOINT}/predict", json=[PERSON] * rows).raise_for_status()

    with ThreadPoolExecutor() as pool:
        list(pool.map(client, [requests // 2, requests - requests // 2]))


def leader(database: Path) -> int | None:
    """The process that holds the lock, as the kernel says."""
    path = database.with_name(f"{database.name}-checkpointer")
    inode = path.stat().st_ino if path.exists() else -1
    held = re.findall(rf"FLOCK +ADVISORY +WRITE (\d+) \S+:{inode} ", Path("/proc/locks").read_text())
    return int(held[0]) if held else None


def is_of(pid: int | None, server: Server) -> bool:
    return pid is not None and os.getsid(pid) == server.pid


def intact(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def database(home: Home) -> Path:
    return home.folder / "db.sqlite3"


@pytest.mark.long  # It needs strace, which not everybody has; CI does.
def test_one_thread_of_all_processes_ever_begins_a_checkpoint(home: Home, database: Path) -> None:
    servers = [TracedServer("asgi", home, {}), TracedServer("wsgi", home, {})]
    command = home.folder / "command.strace"
    try:
        for server in servers:
            server.start().predict(PERSON)
        wait_until(lambda: leader(database) is not None)
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(ask, server, 20) for server in servers]
            work.append(pool.submit(home.run, "strace", *tracing(command), sys.executable, "-c", WRITES))
            for one in work:
                one.result()
        wait_until(lambda: len(set(log_faults.shape(database))) == 1)
        begun = [checkpoints(server.trace) for server in servers]
        assert sorted(len(set(threads)) for threads in begun) == [0, 1], begun
        assert checkpoints(command) == []
    finally:
        for server in servers:
            server.stop()
    assert intact(database)


def test_when_the_process_that_checkpoints_is_killed_another_takes_over(
    home: Home, database: Path, start: Callable[..., Server]
) -> None:
    servers = [start("asgi"), start("wsgi")]
    for server in servers:
        server.predict(PERSON)
    wait_until(lambda: leader(database) is not None)
    first, other = sorted(servers, key=lambda server: not is_of(leader(database), server))
    first.kill()
    # The killed one copied none of these.
    ask(other, 10)
    taken_over_s = wait_until(lambda: is_of(leader(database), other))
    assert taken_over_s < 2
    lengths = [log_faults.shape(database)[0]]

    def begins_anew() -> bool:
        other.predict(PERSON)
        lengths.append(log_faults.shape(database)[0])
        return lengths[-1] < lengths[-2]

    # Only when everything was copied does a writer begin the log anew.
    wait_until(begins_anew)
    assert intact(database)


@pytest.mark.parametrize(
    ("takes_turns", "one_in", "most_bytes"),
    [
        pytest.param(True, 10, 16 * LIMIT_BYTES, id="in turns, 1.3 MB a commit"),
        pytest.param(False, 100, 16 * LIMIT_BYTES, id="without, 0.2 MB a commit"),
        # Overtaken between two such commits only: it begins anew all the same.
        pytest.param(False, 10, 40 * LIMIT_BYTES, id="without, 1.3 MB a commit"),
    ],
)
def test_the_log_stays_short_under_writers_that_never_pause(
    tmp_path: Path, takes_turns: bool, one_in: int, most_bytes: int
) -> None:
    database = tmp_path / "busy.sqlite3"
    written_bytes = longest_bytes = beginnings = 0
    turns = threading.Lock()

    @contextmanager
    def exclusive() -> Iterator[None]:
        with turns:
            yield

    checkpointer = Checkpointer(database, exclusive) if takes_turns else Checkpointer(database)
    with closing(log_faults.writer(database)) as writer:
        writer.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t (b);")
        writer.executemany("INSERT INTO t VALUES (?, randomblob(900))", [(row,) for row in range(1_000)])
        checkpointer.start()
        wait_until(lambda: checkpointer.leads)
        while written_bytes < 40 * LIMIT_BYTES:
            before = log_faults.shape(database)[0]
            with turns:
                writer.execute(f"UPDATE t SET b = randomblob(900) WHERE abs(random()) % {one_in} = 0")
            after = log_faults.shape(database)[0]
            written_bytes += 4096 * (after - before if after >= before else after)
            beginnings += after < before
            longest_bytes = max(longest_bytes, database.with_name(f"{database.name}-wal").stat().st_size)
        checkpointer.stop()
    assert longest_bytes < most_bytes
    assert beginnings
    assert intact(database)


def test_a_fork_neither_checkpoints_nor_keeps_its_parents_turn(tmp_path: Path) -> None:
    database = tmp_path / "forked.sqlite3"
    with closing(log_faults.writer(database)) as writer:
        writer.execute("CREATE TABLE t (a)")
        checkpointer = Checkpointer(database)
        checkpointer.start()
        wait_until(lambda: checkpointer.leads)
        child = os.fork()
        if child == 0:
            # Not a single check of pytest's in here.
            while True:
                time.sleep(60)
        try:
            checkpointer.stop()
            # The child holds nothing; on a busy machine the thread may take longer than it is waited for.
            wait_until(lambda: leader(database) is None)
            with (tmp_path / "forked.sqlite3-checkpointer").open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)


def test_what_fails_is_said_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = tmp_path / "late.sqlite3"
    checkpointer = Checkpointer(database)
    checkpointer.start()
    wait_until(lambda: len(caplog.records) > 0)
    time.sleep(2)
    assert len(caplog.records) == 1
    assert "unable to open database file" in caplog.text
    with closing(log_faults.writer(database)) as writer:
        writer.execute("CREATE TABLE t (a)")
        wait_until(lambda: checkpointer.leads)
        # What was committed before it had opened the database is copied with what comes next.
        wait_until(lambda: _copied(writer, database), 30)
        checkpointer.stop()
    assert not checkpointer.leads


def _copied(writer: sqlite3.Connection, database: Path) -> bool:
    writer.execute("INSERT INTO t VALUES (1)")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        if len(set(log_faults.shape(database))) == 1:
            return True
        time.sleep(0.01)
    return False
