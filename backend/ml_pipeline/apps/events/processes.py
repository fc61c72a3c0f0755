"""Serving processes: each keeps a row that says which revision it serves, so that a change can be waited for.

Who is live is judged by the database's clock alone, when a row is written and when it is read: a replica whose own
clock is hours off is as live as any other. Nothing here raises the revision.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from ml_pipeline.apps.events.models import ServingProcess

# How often a process says that it is there; and for how long it is believed. Two may get lost.
HEARTBEAT_S = 2.0
LIVE_S = 6.0
# A row is of no use to anybody then.
FORGOTTEN = timedelta(days=1)
LOOK_INTERVAL_S = 0.05


class _DatabaseNow(Now):
    """Now, by the database's clock; on MySQL in UTC, which knows no summer time."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """MySQL's function."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


class Serving(NamedTuple):
    """How many of the live processes serve a revision."""

    serving: int
    live: int

    @property
    def is_everywhere(self) -> bool:
        """Whether all do; where there are none, too."""
        return self.serving == self.live


def report(process: UUID, *, revision: int) -> None:
    """This process is known to be live and to serve `revision`; its row is made where there is none."""
    if ServingProcess.objects.filter(pk=process).update(revision=revision, seen_at=_DatabaseNow()):
        return
    with transaction.atomic():
        # Those that are dead were followed by others, each of which comes by here.
        ServingProcess.objects.filter(seen_at__lt=_DatabaseNow() - FORGOTTEN).delete()
        ServingProcess.objects.create(
            pk=process, host=socket.gethostname()[:255], pid=os.getpid(), revision=revision, seen_at=_DatabaseNow()
        )


def remove(process: UUID) -> None:
    """Nobody waits for `process` any more. Removed already, nothing happens."""
    ServingProcess.objects.filter(pk=process).delete()


def live() -> QuerySet[ServingProcess]:
    """The processes that were seen within LIVE_S."""
    return ServingProcess.objects.filter(seen_at__gte=_DatabaseNow() - timedelta(seconds=LIVE_S))


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
        served = list(live().values_list("revision", flat=True))
        found = Serving(sum(one >= revision for one in served), len(served))
        left_s = until - clock()
        if found.is_everywhere or left_s <= 0:
            return found
        sleep(min(LOOK_INTERVAL_S, left_s))
