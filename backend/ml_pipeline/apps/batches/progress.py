"""Progress: how fast a batch job is, and how long it will still take."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ml_pipeline.apps.batches.models import BatchJob, State


class Pace(NamedTuple):
    """Rows a second since the job started, and the seconds that are left at that; None where nothing says so."""

    rows_per_s: float | None
    remaining_s: float | None


def pace(job: BatchJob, now: datetime) -> Pace:
    """The pace of `job`, of which it is `now`; one that is over has no time left to tell."""
    if job.started_at is None:
        return Pace(None, None)
    elapsed_s = ((job.ended_at or now) - job.started_at).total_seconds()
    if elapsed_s <= 0 or not job.rows_done:
        return Pace(None, None)
    rows_per_s = job.rows_done / elapsed_s
    if job.state != State.RUNNING or job.rows_total is None:
        return Pace(rows_per_s, None)
    return Pace(rows_per_s, (job.rows_total - job.rows_done) / rows_per_s)
