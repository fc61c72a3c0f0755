"""Cancellations: what was sent goes no further, whatever it is."""

from __future__ import annotations

from typing import TypeVar

from ml_pipeline.apps.batches.models import OVER, BatchJob, FeedbackFile, State
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.errors import Conflict

Sent = TypeVar("Sent", BatchJob, FeedbackFile)


def cancelled(model: type[Sent], pk: int, kind: str, what: str) -> tuple[Sent, bool]:
    """The row, cancelled, and whether it was not before. Belongs in a transaction.

    Whoever works on it finds out with what he changes next; a job of `kind` removes the files. Raises Conflict, which
    calls it `what`, where it succeeded or failed already.
    """
    # Asked first: whoever works on it locks the two in this order.
    jobs.ask(kind, str(pk))
    row = model.objects.select_for_update().get(pk=pk)
    if row.state == State.CANCELLED:
        return row, False
    if row.state in OVER:
        raise Conflict(f"The {what} {row.pk} has {row.state} already.")
    model.objects.filter(pk=pk).update(state=State.CANCELLED, ended_at=DatabaseNow())
    row.refresh_from_db()
    return row, True
