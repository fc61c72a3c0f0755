"""Jobs: asked for in the transaction of whatever makes them necessary."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.models import Job, State


def ask(kind: str, subject: str, *, in_s: float = 0.0) -> None:
    """A worker does `kind` for `subject`, in so many seconds at the latest. Must be called inside a transaction.

    Asked for again while it waits, it comes no later than it would have; while it runs or once it is over, it runs
    again afterwards.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("ask() belongs in the transaction that makes the job necessary")
    due = DatabaseNow() + timedelta(seconds=in_s)
    job = Job.objects.filter(kind=kind, subject=subject)
    # Nobody takes it or gives it back between the two that follow. Looked for first: on MySQL who inserts what is there
    # shares its lock with others who do, and then none of them gets it for himself.
    if not job.select_for_update().exists():
        # Two who ask for the first time at once both have it.
        Job.objects.bulk_create([Job(kind=kind, subject=subject, due_at=due)], ignore_conflicts=True)
        job.select_for_update().get()
    job.filter(state=State.QUEUED, due_at__gt=due).update(due_at=due)
    # A running one is told by its state: whoever runs it finds it queued when he is done.
    job.exclude(state=State.QUEUED).update(state=State.QUEUED, due_at=due, failures=0, error="")
