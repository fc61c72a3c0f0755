"""Leases: one worker at a time does a job, and whoever lost it changes nothing any more.

A lease lasts for some seconds of the database's clock and is renewed while its worker lives. When it runs out, another
worker takes the job with a higher token. The first may only have slept: it holds the old token, by which each of its
transactions is refused (fencing; M. Kleppmann, "How to do distributed locking", 2016).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q
from django.db.models.expressions import Combinable

from ml_pipeline.apps.jobs import clock, handlers
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.models import Job, State

# How long a worker may be silent. Longer than a lock or a connection may be waited for.
LEASE_S: Final = 15.0
# After how many failures in a row a job is given up, and how long is waited after the first of them and at most.
MOST_FAILURES: Final = 10
BACKOFF_S, MOST_BACKOFF_S = 1.0, 60.0
MOST_ERROR: Final = 2_000
# Jobs that are looked at for one that nobody else takes.
LOOKED_AT = 20


class LeaseLost(Exception):
    """Another worker has the job by now."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"{lease.kind} {lease.subject}")


class Lease:
    """The right to do `kind` for `subject`, until it is lost."""

    def __init__(self, job: Job, lease_s: float, stopped: threading.Event) -> None:
        """`stopped` is set when the worker is told to stop."""
        self.kind, self.subject = job.kind, job.subject
        self._lease_s, self._stopped = lease_s, stopped
        self._own = Job.objects.filter(pk=job.pk, token=job.token)

    @property
    def is_unwanted(self) -> bool:
        """Whether the worker is to stop: a long step ends as soon as another worker can go on from there."""
        return self._stopped.is_set()

    def rest(self, seconds: float) -> None:
        """Returns after so long, or as soon as it `is_unwanted`."""
        self._stopped.wait(seconds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A transaction in which nobody else gets the job. Raises LeaseLost, and then nothing is changed."""
        with transaction.atomic():
            if not self._own.select_for_update().exists():
                raise LeaseLost(self)
            yield

    def advance(self) -> None:
        """There was progress: what failed before counts no more. Belongs in the block of `held`."""
        self._own.filter(failures__gt=0).update(failures=0)

    def renew(self) -> None:
        """The lease lasts its time from now on. Raises LeaseLost.

        While the job is `held` nobody gets it, and nothing is renewed nor waited for.
        """
        with transaction.atomic():
            free = self._own.select_for_update(skip_locked=True).filter(leased_until__isnull=False)
            if free.exists():
                self._own.update(leased_until=DatabaseNow() + timedelta(seconds=self._lease_s))
            elif not self._own.filter(leased_until__isnull=False).exists():
                raise LeaseLost(self)

    def postpone(self, in_s: float) -> None:
        """The step is done; the next is due in so many seconds. Raises LeaseLost."""
        self._release(State.QUEUED, clock.due(in_s), failures=0, error="")

    def finish(self) -> None:
        """The job is done, unless it was asked for again meanwhile. Raises LeaseLost."""
        self._release(State.SUCCEEDED, F("due_at"), failures=0, error="")

    def fail(self, error: str) -> None:
        """It went wrong: it is tried again later. After MOST_FAILURES in a row it is given up, unless it is standing.

        Raises LeaseLost.
        """
        failures = self._own.values_list("failures", flat=True).first()
        if failures is None:
            raise LeaseLost(self)
        pause_s = min(BACKOFF_S * math.pow(2, min(failures, MOST_FAILURES)), MOST_BACKOFF_S)
        state = State.FAILED if _is_given_up(self.kind, failures + 1) else State.QUEUED
        due = DatabaseNow() + timedelta(seconds=pause_s)
        self._release(state, due, failures=failures + 1, error=_shown(error))

    def _release(self, state: State, due_at: Combinable, **changes: object) -> None:
        changes |= {"holder": "", "leased_until": None}
        with self.held():
            # Asked for again while it ran, it is queued already and due as that says.
            if not self._own.filter(state=State.RUNNING).update(state=state, due_at=due_at, **changes):
                self._own.update(**changes)


def claim(
    kinds: Sequence[str], holder: str, lease_s: float = LEASE_S, stopped: threading.Event | None = None
) -> Lease | None:
    """The lease of a job of `kinds` that is due and that nobody holds, the longest due first; None where none is.

    It tells whoever does the job when `stopped` is set.

    A job whose worker has not come back counts as failed once more; after MOST_FAILURES it is given up, unless it is a
    standing job.
    """
    is_free = Q(leased_until=None) | Q(leased_until__lt=DatabaseNow())
    is_due = Q(state=State.QUEUED, due_at__lte=DatabaseNow()) | Q(state=State.RUNNING)
    due = Job.objects.filter(is_free & is_due, kind__in=kinds)
    # Looked at first without a lock: on SQLite each would be the writer's.
    for pk, token in due.order_by("due_at").values_list("pk", "token")[:LOOKED_AT]:
        with transaction.atomic():
            job = due.select_for_update(skip_locked=True).filter(pk=pk, token=token).first()
            if job is None:
                continue
            job.failures += job.state == State.RUNNING
            job.token, job.holder = token + 1, holder
            job.state = State.FAILED if _is_given_up(job.kind, job.failures) else State.RUNNING
            if job.state == State.FAILED:
                job.holder, job.error = (
                    "",
                    f"its worker did not come back, as {job.failures} times in a row something failed",
                )
            job.save(update_fields=["state", "failures", "token", "holder", "error"])
            ends = DatabaseNow() + timedelta(seconds=lease_s) if job.state == State.RUNNING else None
            Job.objects.filter(pk=pk).update(leased_until=ends)
            if job.state == State.RUNNING:
                return Lease(job, lease_s, stopped or threading.Event())
    return None


def _is_given_up(kind: str, failures: int) -> bool:
    return failures >= MOST_FAILURES and not handlers.is_standing(kind)


def _shown(error: str) -> str:
    # Every database takes it.
    return error[:MOST_ERROR].encode("utf-8", "replace").decode().replace("\0", "?")
