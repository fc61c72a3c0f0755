"""Serving processes: each keeps a row that says which revision it serves, so that a change can be waited for.

Who is live is judged by the database's clock alone, when a row is written and when it is read: a replica whose own
clock is hours off is as live as any other. Nothing here raises the revision.

A row that stays out says that its process is gone only while the database can be reached: this process's own reports
tell. Until then a process that was not removed counts, by what it said last.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from ml_pipeline.apps.events.models import ServingProcess
from ml_pipeline.apps.jobs.clock import DatabaseNow

# How often a process says that it is there; and how long it may be silent before it is dead. Longer than one report may
# take that comes in the end: ten seconds for a lock or for a connection, after the pause between two.
HEARTBEAT_S = 2.0
LIVE_S = 15.0
# So long a silence of this process itself may have made another look dead, whose report was due as much earlier.
STALL_S = LIVE_S - 2 * HEARTBEAT_S
# A row is of no use to anybody then.
FORGOTTEN = timedelta(days=1)
LOOK_INTERVAL_S = 0.05


class Serving(NamedTuple):
    """How many of the live processes serve a revision."""

    serving: int
    live: int

    @property
    def is_everywhere(self) -> bool:
        """Whether all do; where nobody serves, too."""
        return self.serving == self.live


class _Own:
    """This process's own reports, by its clock. While none got through, nobody's silence says anything."""

    def __init__(self) -> None:
        self.process: UUID | None = None

    def enter(self, process: UUID, clock: Callable[[], float]) -> None:
        """It serves, and its row is `process`."""
        self._clock = clock
        self._heard_at, self._gone_at, self._back_at = clock(), -math.inf, -math.inf
        self.process = process

    def heard(self) -> None:
        """A report got through."""
        now = self._clock()
        if now - self._heard_at > STALL_S:
            self._gone_at, self._back_at = self._heard_at, now
        self._heard_at = now

    def patience_s(self) -> float:
        """How long others may be silent now: those that were live when a stall began have LIVE_S from its end."""
        if self.process is None:
            return LIVE_S
        now = self._clock()
        if now - self._heard_at > STALL_S:
            return LIVE_S + now - self._heard_at
        return LIVE_S + (now - self._gone_at if now - self._back_at < LIVE_S else 0.0)


_own = _Own()


def enter(process: UUID, *, clock: Callable[[], float] = time.monotonic) -> None:
    """This very process serves, as `process`: until that is removed it counts, whether or not its row is there."""
    _own.enter(process, clock)


def report(process: UUID, *, revision: int) -> None:
    """This process is known to be live and to serve `revision`; its row is made where there is none."""
    if not ServingProcess.objects.filter(pk=process).update(revision=revision, seen_at=DatabaseNow()):
        _make(process, revision)
    if process == _own.process:
        _own.heard()


def _make(process: UUID, revision: int) -> None:
    with transaction.atomic():
        # Those that are dead were followed by others, each of which comes by here.
        ServingProcess.objects.filter(seen_at__lt=DatabaseNow() - FORGOTTEN).delete()
        ServingProcess.objects.create(
            pk=process, host=socket.gethostname()[:255], pid=os.getpid(), revision=revision, seen_at=DatabaseNow()
        )


def remove(process: UUID) -> None:
    """Nobody waits for `process` any more. Removed already, nothing happens."""
    if process == _own.process:
        _own.process = None
    ServingProcess.objects.filter(pk=process).delete()


def live() -> QuerySet[ServingProcess]:
    """The processes that were seen within LIVE_S, not counting a time in which this one could not report either."""
    return ServingProcess.objects.filter(seen_at__gte=DatabaseNow() - timedelta(seconds=_own.patience_s()))


def await_revision(
    revision: int,
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Serving:
    """How many serve `revision` or a later one: as soon as all live processes do, or when `seconds` are over.

    Looks again and again, and holds nothing meanwhile: must not be called inside a transaction.
    """
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("await_revision() would hold the caller's transaction, and on some databases see no change")
    until = clock() + seconds
    while True:
        served = dict(live().values_list("pk", "revision"))
        if _own.process is not None:
            # It answers whoever asked, so where its row is not there it is merely not heard.
            served.setdefault(_own.process, -1)
        found = Serving(sum(one >= revision for one in served.values()), len(served))
        left_s = until - clock()
        if found.is_everywhere or left_s <= 0:
            return found
        sleep(min(LOOK_INTERVAL_S, left_s))
