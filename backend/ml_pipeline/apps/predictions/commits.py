"""Group commit: whoever has something to commit hands it over; one thread commits whatever has gathered meanwhile.

A commit waits for the disk, so what it costs is shared by all that came while the one before was under way.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar

from django.db import connection

from ml_pipeline.errors import JournalUnavailable

T = TypeVar("T")

# Rows of one transaction, unless a single group has more.
MOST_ROWS = 2_000
# Rows that may wait for their commit.
ROOM_ROWS = 20_000


class WriteTurn:
    """Who writes to SQLite in this process. Its own lock is polled for and unfair; this one is neither."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class GroupCommit(Generic[T]):
    """Gathers groups and calls `commit` with them, in a thread of its own that begins with the first.

    `size` is a group's number of rows. `commit` is called with the groups in order, in `turn`, and must not raise; it
    tells whoever waits. Thread-safe; a forked process begins with nothing.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], None],
        size: Callable[[T], int],
        *,
        turn: AbstractContextManager[None],
        name: str,
    ) -> None:
        self._commit, self._size, self._turn, self._name = commit, size, turn, name
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._waiting: deque[T] = deque()
        # Waiting and being committed.
        self._rows = 0
        self._is_running = self._is_closed = False
        self._changed = threading.Condition()
        self._emptied = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]

    def submit(self, group: T) -> None:
        """`group` is committed soon. Raises JournalUnavailable when too much waits."""
        with self._changed:
            if self._rows > ROOM_ROWS:
                raise JournalUnavailable("Too many predictions wait to be logged; this one is not answered.")
            self._rows += self._size(group)
            self._waiting.append(group)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._changed.notify()

    def close(self, patience_s: float | None = None) -> bool:
        """Whether everything that was handed over is committed, which is awaited."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            return self._emptied.wait_for(lambda: not self._rows, patience_s)

    def _work(self) -> None:
        while groups := self._taken():
            with self._turn:
                self._commit(groups)
            with self._changed:
                self._rows -= sum(self._size(group) for group in groups)
                if not self._rows:
                    self._emptied.notify_all()
        connection.close()

    def _taken(self) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            groups: list[T] = []
            rows = 0
            while self._waiting and (not groups or rows + self._size(self._waiting[0]) <= MOST_ROWS):
                groups.append(self._waiting.popleft())
                rows += self._size(groups[-1])
            if not groups:
                self._is_running = False
            return groups
