"""States: what becomes of a job that a worker is at: each change under the lease, and only while the job runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from ml_pipeline.apps.batches import batches, removal, turns
from ml_pipeline.apps.batches.models import BatchChunk, BatchJob, State
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.ml.scoring.cuts import Cut


class NoLongerRunning(Exception):
    """Somebody cancelled the job."""


class Unwanted(Exception):
    """The worker is to stop; another goes on from here."""


def begin(lease: Lease, job: BatchJob) -> None:
    """The job runs, and was begun once more. Raises NoLongerRunning."""
    with turns.changing(lease):
        change(
            job,
            state=State.RUNNING,
            started_at=Coalesce("started_at", DatabaseNow()),
            revision=Coalesce("revision", Value(revisions.current())),
            attempts=F("attempts") + 1,
        )
        # Should it be given up, whatever becomes of its workers.
        removal.ask_to_clean()
    job.refresh_from_db()


def plan(lease: Lease, job: BatchJob, cuts: Iterator[Cut]) -> None:
    """The job has these chunks. Raises NoLongerRunning, Unwanted, and what `cuts` raises."""
    with turns.changing(lease):
        # What an attempt before this one left.
        BatchChunk.objects.filter(job=job).delete()
    rows = 0
    while part := list(islice(cuts, turns.CHUNKS)):
        go_on(lease)
        with turns.resting(lease):
            change(job)
            BatchChunk.objects.bulk_create(BatchChunk(job=job, **cut._asdict()) for cut in part)
        rows = part[-1].first_row + part[-1].rows
    with turns.changing(lease):
        change(job, rows_total=rows, attempts=0)
        lease.advance()
    job.rows_total = rows


def succeed(lease: Lease, job: BatchJob, result_bytes: int) -> None:
    """The result is published. Raises NoLongerRunning."""
    with turns.changing(lease):
        change(job, state=State.SUCCEEDED, ended_at=DatabaseNow(), result_bytes=result_bytes)
        jobs.ask(removal.REMOVING, str(job.pk), in_s=timedelta(days=settings.BATCH_DAYS).total_seconds())
        job.refresh_from_db()
        batches.record_end("batch.ended", job, rows=job.rows_done, rejected=job.rows_rejected)


def fail(lease: Lease, job: BatchJob, sentence: str) -> None:
    """It goes no further, as `sentence` says. Raises NoLongerRunning."""
    with turns.changing(lease):
        # Every database takes it.
        told = sentence.encode("utf-8", "replace").decode().replace("\0", "?")
        change(job, state=State.FAILED, ended_at=DatabaseNow(), error=told)
        batches.record_end("batch.failed", job, error=told)
    job.refresh_from_db()


def hand_over(lease: Lease, job: BatchJob) -> None:
    """The attempt that is left off counts no more: nothing was wrong with it."""
    with turns.changing(lease):
        BatchJob.objects.filter(pk=job.pk, attempts__gt=0).update(attempts=F("attempts") - 1)


def go_on(lease: Lease) -> None:
    """Raises Unwanted where the worker is to stop."""
    if lease.is_unwanted:
        raise Unwanted


def change(job: BatchJob, **changes: Any) -> None:
    """The job's row has these values. Belongs in a transaction under the lease; raises NoLongerRunning."""
    ours = BatchJob.objects.filter(pk=job.pk, state__in=(State.QUEUED, State.RUNNING))
    if not (ours.update(**changes) if changes else ours.exists()):
        raise NoLongerRunning
