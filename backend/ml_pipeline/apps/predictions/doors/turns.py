"""Turns: who asks an algorithm that does not answer at once, on a server whose few threads all wait for answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ml_pipeline.errors import Overloaded

# Of slow algorithms in one process; with the one that is next they hold three threads, however many there are.
MAX_ASKED_AT_ONCE = 2
# Everybody waits this long for a turn that others have just begun, and only the next one longer.
PATIENCE_S = 0.05


class Turns:
    """The turns of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # When each algorithm that is asked now was asked.
        self._asked: dict[int, float] = {}
        # The algorithm that the next one waits for.
        self._next: int | None = None

    @contextmanager
    def turn(self, algorithm_id: int, deadline_s: float) -> Iterator[None]:
        """The block asks the algorithm, nobody else does. Raises Overloaded when its turn does not come soon."""
        with self._changed:
            if not (self._is_soon(algorithm_id) or self._is_next(algorithm_id, deadline_s)):
                raise Overloaded("Others wait for slow algorithms already; try again shortly.")
            self._asked[algorithm_id] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._asked[algorithm_id]
                self._changed.notify_all()

    def _is_soon(self, algorithm_id: int) -> bool:
        patience_s = PATIENCE_S if self._has_room(algorithm_id) or self._is_fresh(algorithm_id) else 0.0
        return self._changed.wait_for(lambda: self._is_free(algorithm_id), patience_s)

    def _is_fresh(self, algorithm_id: int) -> bool:
        since = self._asked.get(algorithm_id) or max(self._asked.values())
        return time.monotonic() - since <= PATIENCE_S

    def _is_next(self, algorithm_id: int, deadline_s: float) -> bool:
        if self._next is not None:
            return False
        self._next = algorithm_id
        try:
            return self._changed.wait_for(lambda: self._has_room(algorithm_id), deadline_s)
        finally:
            self._next = None
            self._changed.notify_all()

    def _has_room(self, algorithm_id: int) -> bool:
        return algorithm_id not in self._asked and len(self._asked) < MAX_ASKED_AT_ONCE

    def _is_free(self, algorithm_id: int) -> bool:
        # The next one's place is not taken by whoever comes later.
        is_kept = self._next is not None and self._has_room(self._next)
        return self._has_room(algorithm_id) and not (is_kept and self._is_kept_from(algorithm_id))

    def _is_kept_from(self, algorithm_id: int) -> bool:
        return algorithm_id == self._next or len(self._asked) + 1 >= MAX_ASKED_AT_ONCE
