"""Jobs: asked for in the transaction of whatever makes them necessary."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction

from ml_pipeline.apps.jobs import clock, handlers
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.models import Job, State


class Trouble(NamedTuple):
    """How often a job failed in a row, and whether it was given up; then it is done when it is asked for again."""

    failures: int
    is_given_up: bool


def trouble(kind: str, subject: str) -> Trouble | None:
    """What a job has failed at of late; None where nothing is wrong. What was said is in the worker's log."""
    job = Job.objects.filter(kind=kind, subject=subject, failures__gt=0).first()
    return None if job is None else Trouble(job.failures, job.state == State.FAILED)


def given_up(kind: str, subjects: Iterable[str]) -> set[str]:
    """Those of `subjects` whose job was given up."""
    failed = Job.objects.filter(kind=kind, subject__in=list(subjects), state=State.FAILED)
    return set(failed.values_list("subject", flat=True))


def is_large_one_running() -> bool:
    """Whether a worker of this machine is at a large job (see `handlers.register`)."""
    running = Job.objects.filter(state=State.RUNNING, leased_until__gt=DatabaseNow(), kind__in=handlers.large())
    return running.filter(holder__startswith=f"{socket.gethostname()}:").exists()


def ask(kind: str, subject: str, *, in_s: float = 0.0) -> None:
    """A worker does `kind` for `subject`, in so many seconds at the latest. Must be called inside a transaction.

    Asked for again while it waits, it comes no later than it would have; while it runs or once it is over, it runs
    again afterwards.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("ask() belongs in the transaction that makes the job necessary")
    due = clock.due(in_s)
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


def stand(kinds: Iterable[str]) -> None:
    """There is a job of each of `kinds`, without a subject, and none of them is over."""
    for kind in kinds:
        if not Job.objects.filter(kind=kind, subject="", state__in=(State.QUEUED, State.RUNNING)).exists():
            with transaction.atomic():
                ask(kind, "")
