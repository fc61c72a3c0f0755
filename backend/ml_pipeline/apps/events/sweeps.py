"""The sweep: finds what waits though nobody was woken, gives up what waits in vain, and removes what is long over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from ml_pipeline.apps.events import clock, deliveries
from ml_pipeline.apps.events.models import Delivery, DeliveryState, Receiver
from ml_pipeline.apps.events.outbox import DELIVERING, SWEEP_S
from ml_pipeline.apps.jobs import jobs, rests
from ml_pipeline.apps.jobs.leases import Lease

# For so long what is over is kept.
KEPT_DAYS: Final = 30
# Rows that are removed in one transaction.
ROWS: Final = 200


def work(lease: Lease) -> float | None:
    """Sweeps once. In how many seconds it is done again; None where there is nothing to look after."""
    return sweep(lease, clock.now())


def sweep(lease: Lease, now: datetime) -> float | None:
    """As `work`, at the time `now` of the database."""
    waiting = Delivery.objects.filter(state=DeliveryState.QUEUED)
    _wake(waiting.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)), now)
    off = list(Receiver.objects.filter(is_active=False).values_list("pk", flat=True))
    in_vain = waiting.filter(receiver_id__in=off, asked_at__lte=now - timedelta(days=deliveries.TRIED_DAYS))
    while not lease.is_unwanted and _resting(lease, lambda: deliveries.give_up(in_vain, now)):
        pass
    # Named one by one, for the index: of what is not queued, each row would be looked at every minute.
    over = Delivery.objects.filter(state__in=(DeliveryState.DELIVERED, DeliveryState.FAILED))
    # Asked of the database each time: of a receiver that has just been made, nothing is removed.
    orphaned = Delivery.objects.exclude(Exists(Receiver.objects.filter(pk=OuterRef("receiver_id"))))
    for rows in (over.filter(ended_at__lt=now - timedelta(days=KEPT_DAYS)), orphaned):
        _remove(lease, rows)
    return SWEEP_S if Receiver.objects.exists() or Delivery.objects.exists() else None


def _wake(overdue: QuerySet[Delivery], now: datetime) -> None:
    is_there = Q(resumes_at=None) | Q(resumes_at__lte=now)
    late = Receiver.objects.filter(is_there, Exists(overdue.filter(receiver_id=OuterRef("pk"))), is_active=True)
    for pk in late.values_list("pk", flat=True):
        with transaction.atomic():
            jobs.ask(DELIVERING, str(pk))


def _remove(lease: Lease, rows: QuerySet[Delivery]) -> None:
    while not lease.is_unwanted and (pks := list(rows.values_list("pk", flat=True)[:ROWS])):
        gone = Delivery.objects.filter(pk__in=pks)
        _resting(lease, lambda gone=gone: gone.delete()[0])  # type: ignore[misc]


def _resting(lease: Lease, change: Callable[[], int]) -> int:
    """What `change` returns, done under the lease; others have then as long for writing as that took."""
    with rests.held(lease):
        return change()
