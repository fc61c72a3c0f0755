"""Collectors: what an app looks up when somebody asks for the metrics, such as rows of the database.

An app registers its own when it is set up. They run in a thread of their own, and what they found is kept for a moment:
however often somebody asks, and however long the database is silent, the rest is told at once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import Metric

logger = logging.getLogger(__name__)

# For how long what was found is told again, and how long it is waited for at most.
KEPT_S = 5.0
PATIENCE_S = 2.0
Collect = Callable[[], Iterable[Metric]]

_collectors: dict[str, Collect] = {}


def register(name: str, collect: Collect) -> None:
    """`collect` is asked with the others. It may query the database, raises what it likes, and takes < PATIENCE_S."""
    _collectors[name] = collect


class Gathering:
    """What all collectors find, not looked up more often than every KEPT_S; `release` is called in their thread.

    Thread-safe; a forked process begins with nothing.
    """

    def __init__(self, release: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._release, self._clock = release, clock
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._found: Sequence[Metric] | None = None
        self._found_at = -KEPT_S
        self._reported = ""

    def found(self, patience_s: float = PATIENCE_S) -> Sequence[Metric] | None:
        """The metrics of all collectors; None where one of them failed, or they take longer than `patience_s`."""
        with self._lock:
            if self._thread is None:
                if self._clock() < self._found_at + KEPT_S:
                    return self._found
                self._thread = threading.Thread(target=self._look, name="metrics", daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(patience_s)
        return None if thread.is_alive() else self._found

    def _look(self) -> None:
        found: list[Metric] | None = []
        try:
            found = [metric for collect in list(_collectors.values()) for metric in collect()]
            self._reported = ""
        # The outermost edge of this thread: whatever it was, the other metrics are told.
        except Exception as error:  # noqa: BLE001
            found = None
            if str(error) != self._reported:
                logger.error("some metrics cannot be looked up: %s", error)
            self._reported = str(error)
        finally:
            with self._lock:
                self._found, self._found_at, self._thread = found, self._clock(), None
            self._release()
