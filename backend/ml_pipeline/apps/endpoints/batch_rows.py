"""Batch rows: what a batch job has logged, found by ids, for the log has no index by job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from ml_pipeline.apps.endpoints import hooks
from ml_pipeline.apps.endpoints.models import MLRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def of(rows: QuerySet[MLRequest], job_id: int) -> QuerySet[MLRequest]:
    """Those of `rows` that the job logged; none where there is no such job."""
    made_at = hooks.batch_made_at(job_id)
    if made_at is None:
        return rows.none()
    since = made_ms(made_at)
    return rows.filter(pk__gte=UUID(int=since << 80), pk__lt=UUID(int=(since + 1) << 80), job_id=job_id)


def made_ms(made_at: datetime) -> int:
    """What the ids of a job's rows begin with: when it was made, in whole milliseconds since 1970."""
    return (made_at - _EPOCH) // timedelta(milliseconds=1)
