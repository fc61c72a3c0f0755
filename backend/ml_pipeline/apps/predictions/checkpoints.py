"""Checkpoints: what SQLite's write-ahead log holds is copied into the database, by one connection on the machine.

All other connections are opened with `wal_autocheckpoint=0`. SQLite before 3.51.3 loses commits when a checkpoint
begins with nothing left to copy while a writer starts the log anew; ADR 008 has the argument why none begins like that
here. Other databases need none of this. Imports nothing of the service, the journal and the doors.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from ml_pipeline.apps.predictions import gaps

logger = logging.getLogger(__name__)

# A pass copies about this much, beside the writers, at least every BUSY_S and at most every CALM_S.
PORTION_BYTES = 2_000_000
BUSY_S = 0.05
CALM_S = 0.5
# Writers append while a pass copies. From this length on a last one holds them off, so that the log begins anew.
LIMIT_BYTES = 8_000_000
# What a pass before left behind is little after this.
FINISH_S = 0.005
# A log that a long reader or a burst has made this long gives its space back.
SHRINK_BYTES = 64_000_000
# How long a last pass tries to become the writer, more for a longer log; and how long, being it, it waits for readers.
TURN_S = 0.05
TURN_LOOK_S = 0.0002
MAX_TURN_S = 1.0
READERS_MS = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a pass left the log: bytes in it when the pass began, how many were copied, and how many by this pass."""

    log_bytes: int
    copied_bytes: int
    new_bytes: int

    @property
    def is_complete(self) -> bool:
        """False where somebody still reads a state before the end of the log."""
        return self.copied_bytes >= self.log_bytes


class Log:
    """The connection that checkpoints. It begins a checkpoint only after a commit that none has copied yet.

    That commit keeps every writer from starting the log anew until it is copied. Not thread-safe. After an error it
    cannot know any more what was copied: close it and open another.
    """

    def __init__(self, database: Path) -> None:
        """Raises sqlite3.Error where `database` cannot be opened."""
        self._connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
        self._path = database.with_name(f"{database.name}-wal")
        self._one("PRAGMA wal_autocheckpoint=0")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._page_bytes = self._one("PRAGMA page_size")[0]
        self._copied_bytes = 0
        self._seen = self._version()
        # From here on it never waits: what fails must not be tried again unseen.
        self._one("PRAGMA busy_timeout=0")

    def has_news(self) -> bool:
        """Whether something was committed since the last checkpoint ended, or since this connection was opened."""
        return self._version() != self._seen

    def copy(self) -> Progress | None:
        """Copies what no reader holds back, beside the writers; None when nothing new was committed."""
        return self._checkpoint("PASSIVE")

    def finish(self, turn_s: float = TURN_S) -> Progress | None:
        """Copies the rest as the writer, so that the next one starts the log anew; None when there was no need.

        Where other writers leave no turn within `turn_s`, or readers do not end, as much as `copy` does.
        """
        if not self.has_news():
            return None
        self._take_turn(turn_s)
        self._one(f"PRAGMA busy_timeout={READERS_MS}")
        try:
            return self._checkpoint("TRUNCATE" if self._is_long() else "RESTART")
        finally:
            self._one("PRAGMA busy_timeout=0")

    def close(self) -> None:
        """The last connection to the database copies the rest, alone by then."""
        self._connection.close()

    def _checkpoint(self, mode: str) -> Progress | None:
        # The rule itself.
        if not self.has_news():
            return None
        _, frames, copied = self._one(f"PRAGMA wal_checkpoint({mode})")
        # Only now: a commit during the checkpoint may be copied, and one that is must not count as news.
        self._seen = self._version()
        log_bytes, copied_bytes = max(frames, 0) * self._page_bytes, max(copied, 0) * self._page_bytes
        # Less than before: the log began anew in between.
        before = self._copied_bytes if copied_bytes >= self._copied_bytes else 0
        self._copied_bytes = copied_bytes
        return Progress(log_bytes, copied_bytes, copied_bytes - before)

    def _take_turn(self, turn_s: float) -> None:
        # Who finds it held waits half a millisecond or more: mostly it is free when the checkpoint asks for it.
        try:
            gaps.found(lambda: self._connection.execute("BEGIN IMMEDIATE"), turn_s, TURN_LOOK_S)
        except sqlite3.OperationalError as error:
            if not gaps.is_busy(error):
                raise
        else:
            self._connection.execute("COMMIT")

    def _is_long(self) -> bool:
        try:
            return self._path.stat().st_size >= SHRINK_BYTES
        except FileNotFoundError:
            return False

    def _version(self) -> int:
        return self._one("PRAGMA data_version")[0]

    def _one(self, statement: str) -> tuple[int, ...]:
        # All rows are fetched: a statement that is not at its end would hold a state of the database.
        row: tuple[int, ...] = self._connection.execute(statement).fetchall()[0]
        return row


class Checkpointer:
    """A thread that checkpoints `database` while no other process does; lazy, for servers that fork."""

    def __init__(
        self,
        database: Path,
        exclusive: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        """`exclusive` keeps this process's own writers waiting meanwhile, in turn rather than by polling.

        From `limit_bytes` on the log begins anew.
        """
        self._database = database.resolve()
        self._exclusive, self._limit_bytes = exclusive, limit_bytes
        self._forking = threading.Lock()
        self._lock: int | None = None
        self._synced: int | None = None
        self._begin()
        # No fork while the lock's descriptor is on its way from the system to `_lock`.
        os.register_at_fork(
            before=self._forking.acquire,
            after_in_parent=self._forking.release,
            after_in_child=self._forked,
        )

    def _begin(self) -> None:
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._reported = ""

    def _forked(self) -> None:
        # The parent's lock would outlive the parent here. Its connection is left alone: nothing of it may be closed.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._forking.release()
        self._begin()

    @property
    def leads(self) -> bool:
        """Whether this very process is the one that checkpoints."""
        return self._lock is not None

    def start(self) -> None:
        """From now on this process checkpoints, or does as soon as the one that does is gone; again, nothing more."""
        with self._starting:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """No further checkpoints in this process; another may take over."""
        with self._starting:
            self._stopped.set()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._leadership() as leads:
                    if leads:
                        self._lead()
            except (sqlite3.Error, OSError) as error:
                if str(error) != self._reported:
                    logger.error("the write-ahead log is not checkpointed, trying again: %s", error)
                self._reported = str(error)
            # The outermost edge of this thread: without it the log would grow for ever.
            except Exception:
                logger.exception("the write-ahead log is not checkpointed, trying again")
            self._stopped.wait(CALM_S)

    @contextmanager
    def _leadership(self) -> Iterator[bool]:
        # The kernel takes the lock back when the process dies, however it dies.
        path = self._database.with_name(f"{self._database.name}-checkpointer")
        with self._forking:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if not isinstance(error, BlockingIOError):
                    raise
            else:
                self._lock = descriptor
        try:
            yield self.leads
        finally:
            with self._forking:
                if self._lock is not None:
                    os.close(self._lock)
                    self._lock = None

    def _lead(self) -> None:
        with closing(Log(self._database)) as log:
            wait_s, turn_s, copied_at = BUSY_S, 0.0, time.monotonic()
            while not self._stopped.wait(wait_s):
                if turn_s:
                    with self._exclusive():
                        log.finish(turn_s)
                    wait_s, turn_s = BUSY_S, 0.0
                    continue
                progress, before, copied_at = log.copy(), copied_at, time.monotonic()
                wait_s = CALM_S
                if progress is None:
                    continue
                self._reported = ""
                wait_s = pause_s(progress, copied_at - before)
                if progress.is_complete and progress.log_bytes >= self._limit_bytes:
                    self._sync()
                    wait_s, turn_s = FINISH_S, min(TURN_S * progress.log_bytes / LIMIT_BYTES, MAX_TURN_S)

    def _sync(self) -> None:
        # Beside the writers, so that the last pass has little to wait for. The descriptor stays open for as long as the
        # process lives: closing any of a file's ends all locks that the process's connections have on it.
        if self._synced is None:
            self._synced = os.open(self._database, os.O_RDWR)
        os.fsync(self._synced)


def pause_s(progress: Progress, seconds: float) -> float:
    """Seconds in which about one portion more is written, when `progress` was made in `seconds`."""
    rate = progress.new_bytes / max(seconds, BUSY_S)
    return min(max(PORTION_BYTES / max(rate, 1.0), BUSY_S), CALM_S)


def checkpointer(
    exclusive: Callable[[], AbstractContextManager[None]] = nullcontext, *, limit_bytes: int = LIMIT_BYTES
) -> Checkpointer | None:
    """The checkpointer of Django's database (see `Checkpointer`); None where that is no file of SQLite's."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or name == ":memory:" or name.startswith("file:"):
        return None
    return Checkpointer(Path(name), exclusive, limit_bytes=limit_bytes)
