"""Waits: for the end of a batch job, which a worker brings about."""

from __future__ import annotations

import time

from ml_pipeline.apps.batches.models import OVER, BatchJob

LOOK_S = 0.2


def until_over(job_id: int, patience_s: float, *, most_rows: int | None = None) -> BatchJob:
    """The job once it is over, or known to have more than `most_rows`; as it stands when the time is over before."""
    until = time.monotonic() + patience_s
    while True:
        job = BatchJob.objects.get(pk=job_id)
        left_s = until - time.monotonic()
        is_too_long = most_rows is not None and (job.rows_total or 0) > most_rows
        if job.state in OVER or is_too_long or left_s <= 0:
            return job
        time.sleep(min(LOOK_S, left_s))
