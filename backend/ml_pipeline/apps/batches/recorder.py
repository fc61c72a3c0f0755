"""Recorder: what was scored is recorded as done, chunk by chunk; where its rows are logged, in the same transactions.

The job is a writer of the log (see `predictions.journal`): its commits are chained, numbered from 1, and it goes on
where its row says. A chunk that was broken off has `logged` of its rows in the log; the rest follows.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F

from ml_pipeline.apps.batches import states, turns
from ml_pipeline.apps.batches.entries import Entries
from ml_pipeline.apps.batches.models import BatchChunk, BatchJob
from ml_pipeline.apps.batches.turns import Pace
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored
from ml_pipeline.apps.predictions import journal, writers
from ml_pipeline.apps.predictions.writers import Batch, Entry
from ml_pipeline.errors import AlgorithmFailed


class Done(NamedTuple):
    """A chunk whose parts are stored under `token`."""

    cut: Cut
    scored: Scored
    token: str


class Recorder:
    """Records one job's chunks while its worker holds the lease. Not thread-safe."""

    def __init__(self, lease: Lease, job: BatchJob) -> None:
        self._lease, self._job = lease, job
        self._seq, self._head = job.log_seq, job.log_sha256 or journal.GENESIS
        self._writer = writers.of(connection)
        self._pace = Pace(job.uid)

    def record(self, done: Done, logged: int) -> None:
        """The chunk is done, after `logged` of its rows were in the log already.

        Raises LeaseLost, NoLongerRunning and Unwanted.
        """
        log = done.scored.logged
        if log is None:
            with turns.changing(self._lease):
                self._advance(done, 0, is_last=True)
            return
        entries = Entries(self._job, log, round(done.scored.took_us / max(done.cut.rows, 1)))
        if len(entries) != done.scored.answered:
            raise AlgorithmFailed("What is to be logged of a chunk is not what was answered.")
        is_last = False
        while not is_last:
            states.go_on(self._lease)
            part = entries.part(logged, self._pace.rows)
            logged += len(part)
            is_last = logged >= len(entries)
            self._commit(done, part, logged, is_last=is_last)

    def _commit(self, done: Done, part: list[Entry], logged: int, *, is_last: bool) -> None:
        # All that can be computed before anybody else has to wait.
        head = journal.chained(self._head, part)
        batch = Batch(self._job.uid, self._seq + 1, len(part), head, journal.now())
        with turns.changing(self._lease):
            begun = time.monotonic()
            batch_id = self._writer.add(connection, batch, part)
            self._advance(done, logged, is_last=is_last, log_seq=batch.seq, log_sha256=batch.sha256)
        self._seq, self._head = batch.seq, batch.sha256
        self._pace.committed(batch_id, time.monotonic() - begun)

    def _advance(self, done: Done, logged: int, *, is_last: bool, **changes: Any) -> None:
        of_chunk: dict[str, Any] = {"logged": logged}
        if is_last:
            answered, rejected = done.scored.answered, len(done.scored.rejected)
            of_chunk |= {"answered": answered, "rejected": rejected, "token": done.token, "done_at": DatabaseNow()}
            changes |= {"rows_done": F("rows_done") + done.cut.rows, "rows_rejected": F("rows_rejected") + rejected}
        BatchChunk.objects.filter(job=self._job, number=done.cut.number).update(**of_chunk)
        states.change(self._job, attempts=0, **changes)
        self._lease.advance()
