"""Turns: each change that a job makes is a transaction under its lease; where only one can write, others come first.

SQLite has one writer. While others commit predictions a job changes few rows at a time and rests for longer than that
took; when they do not, it takes ever more.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from ml_pipeline.apps.jobs import rests
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.predictions import checkpoints
from ml_pipeline.apps.predictions.checkpoints import Checkpointer
from ml_pipeline.apps.predictions.commits import WriteTurn
from ml_pipeline.apps.predictions.models import JournalBatch

# Rows of one commit while others write, and the most when they do not: more would not fit in SQLite's cache of 2 MB,
# and many pages be written twice. Other databases take what a chunk has in few commits.
FEW_ROWS, MOST_ROWS, MANY_ROWS = 100, 2_000, 10_000
# Chunks that are made or removed in one transaction.
CHUNKS = 200
# Others that have committed may again, for so long; meanwhile a job rests after a commit so many times as long.
QUIET_S = 1.0
REST = 3.0
# From this length on SQLite's log begins anew where no server runs: each time the job waits for the disk.
LOG_BYTES = 48_000_000

_turn = WriteTurn()


@contextmanager
def changing(lease: Lease) -> Iterator[None]:
    """A transaction under `lease`. Raises LeaseLost, and then nothing is changed."""
    with _turn, lease.held():
        yield


@contextmanager
def resting(lease: Lease) -> Iterator[None]:
    """As `changing`; others have then as long for writing as that took, where only one can write at a time."""
    begun = time.monotonic()
    with changing(lease):
        yield
    rests.give_way(time.monotonic() - begun)


@functools.cache
def checkpointer() -> Checkpointer | None:
    """Who keeps SQLite's log short where no server runs that does; it goes with the process."""
    return checkpoints.checkpointer(lambda: _turn, limit_bytes=LOG_BYTES)


class Pace:
    """How many rows a writer of the log commits at a time, and how long it rests. Not thread-safe."""

    def __init__(
        self,
        writer: UUID,
        rest: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """It begins with few rows, and as if others had committed just now where any have of late."""
        self._writer, self._rest, self._clock = writer, rest, clock
        self._is_shared = connection.vendor == "sqlite"
        self._last = JournalBatch.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        recent = JournalBatch.objects.filter(pk=self._last, created_at__gt=timezone.now() - timedelta(seconds=QUIET_S))
        self._busy_until = clock() + (QUIET_S if recent.exists() else 0.0)
        self.rows = FEW_ROWS if self._is_shared else MANY_ROWS

    def committed(self, batch_id: int, took_s: float) -> None:
        """The writer has committed this batch. Returns when it may go on."""
        if not self._is_shared:
            return
        others = JournalBatch.objects.filter(pk__gt=self._last).exclude(writer=self._writer)
        if others.exists():
            self._busy_until = self._clock() + QUIET_S
        self._last = batch_id
        if self._clock() < self._busy_until:
            self.rows = FEW_ROWS
            self._rest(REST * took_s)
        else:
            self.rows = min(2 * self.rows, MOST_ROWS)
