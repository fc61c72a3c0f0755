"""Group commit: whoever has something to commit hands it over; one thread commits whatever has gathered meanwhile.

A commit waits for the disk, so what it costs is shared by all that came while the one before was under way. Where the
disk is known to be quick and nobody else writes, whoever hands over commits by himself: to wait for another thread
would cost more (ADR 010).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from django.db import connection

from ml_pipeline.errors import JournalUnavailable

T = TypeVar("T")

# Rows of one transaction, unless a single group has more.
MOST_ROWS = 2_000
# Rows that may wait for their commit.
ROOM_ROWS = 20_000
# What a commit may wait for the disk, and how many rows it may have, where it is made by whoever hands it over.
QUICK_S, QUICK_ROWS = 0.0005, 256


class Turn(Protocol):
    """Who writes in this process: whoever is in the block."""

    def __enter__(self) -> None:
        """It is awaited."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The next one's."""
        ...

    def begin_at_once(self) -> bool:
        """Whether it is free, and then taken until `__exit__`."""
        ...


class WriteTurn:
    """Who writes to SQLite in this process. Its own lock is polled for; this one wakes whoever waits."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def begin_at_once(self) -> bool:
        """See `Turn`."""
        return self._lock.acquire(blocking=False)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class AnyTurn:
    """For databases that many write to at the same time."""

    def begin_at_once(self) -> bool:
        """See `Turn`."""
        return True

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


def idle() -> float:
    """Seconds in which the calling thread did not run, since some moment."""
    return time.monotonic() - time.thread_time()


class GroupCommit(Generic[T]):
    """Gathers groups and calls `commit` with them, in a thread of its own that begins with the first.

    `size` is a group's number of rows. `commit` is called with the groups in order, in `turn`, and must not raise; it
    tells whoever waits. `commit_at_once`, where there is one, does the same for a lone group in the thread that hands
    it over; when it would have to wait for anything but the disk it does nothing and says False. Never are two of them
    called at the same time. Thread-safe; a forked process begins with nothing.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], None],
        size: Callable[[T], int],
        *,
        turn: Turn,
        name: str,
        commit_at_once: Callable[[T], bool] | None = None,
        idle: Callable[[], float] = idle,
    ) -> None:
        self._commit, self._size, self._turn, self._name = commit, size, turn, name
        self._commit_at_once, self._idle = commit_at_once, idle
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._waiting: deque[T] = deque()
        # Waiting and being committed.
        self._rows = 0
        self._is_running = self._is_closed = self._is_committing = False
        # Seconds that a commit has waited of late.
        self._wait_s = 0.0
        # When the one under way, or the last, began; on the monotonic clock.
        self._begun = 0.0
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._emptied = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]

    def submit(self, group: T) -> None:
        """`group` is committed soon, or already. Raises JournalUnavailable when too much waits, or no thread can be."""
        with self._changed:
            if self._rows > ROOM_ROWS:
                raise JournalUnavailable("Too much waits to be committed; try again shortly.")
            self._rows += self._size(group)
            if not self._may_begin_at_once(group):
                self._waiting.append(group)
                if not self._called():
                    self._waiting.pop()
                    self._rows -= self._size(group)
                    raise JournalUnavailable("Nobody can commit it: this process can have no more threads.")
                return
            self._is_committing, self._begun = True, time.monotonic()
        self._committed_at_once(group)

    @property
    def age_s(self) -> float:
        """For how many seconds what is being committed has been; 0 when nothing is."""
        with self._changed:
            return time.monotonic() - self._begun if self._is_committing else 0.0

    @property
    def rows(self) -> int:
        """Rows that wait or are being committed."""
        return self._rows

    def close(self, patience_s: float | None = None) -> bool:
        """Whether everything that was handed over is committed, which is awaited, as is the end of the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            is_emptied = self._emptied.wait_for(lambda: not self._rows, patience_s)
            thread = self._thread
        if is_emptied and thread is not None:
            # A thread that is still ending when the process does can abort it.
            thread.join(patience_s)
        return is_emptied

    def _may_begin_at_once(self, group: T) -> bool:
        if self._commit_at_once is None or self._wait_s >= QUICK_S or self._size(group) > QUICK_ROWS:
            return False
        return not self._waiting and not self._is_committing and self._turn.begin_at_once()

    def _committed_at_once(self, group: T) -> None:
        assert self._commit_at_once is not None  # noqa: S101
        is_committed, begun = False, self._idle()
        try:
            is_committed = self._commit_at_once(group)
        finally:
            self._turn.__exit__(None, None, None)
            waited = self._idle() - begun
            with self._changed:
                # Slow once is slow for a while.
                waited = waited if is_committed else 2 * QUICK_S
                self._wait_s = max(waited, 0.9 * self._wait_s + 0.1 * waited)
                if not is_committed:
                    self._waiting.appendleft(group)
                self._end([group] if is_committed else [])

    def _called(self) -> bool:
        # Whether the thread will commit what waits.
        if not self._is_running:
            try:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()
            except RuntimeError:
                # The process may have no more. Whatever is handed over next tries again.
                return False
            self._is_running, self._thread = True, thread
        self._changed.notify()
        return True

    def _end(self, groups: Sequence[T]) -> None:
        self._is_committing = False
        self._rows -= sum(self._size(group) for group in groups)
        if self._waiting:
            self._called()
        elif self._is_closed:
            self._changed.notify()
        if not self._rows:
            self._emptied.notify_all()

    def _work(self) -> None:
        while groups := self._taken():
            with self._turn:
                self._commit(groups)
            with self._changed:
                # Whether it is quick by now is seen only by trying: here it waits for the other threads as well.
                self._wait_s *= 0.85
                self._end(groups)
        connection.close()

    def _taken(self) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_committing and (self._waiting or self._is_closed))
            groups: list[T] = []
            rows = 0
            while self._waiting and (not groups or rows + self._size(self._waiting[0]) <= MOST_ROWS):
                groups.append(self._waiting.popleft())
                rows += self._size(groups[-1])
            self._is_running = self._is_committing = bool(groups)
            self._begun = time.monotonic()
            return groups
