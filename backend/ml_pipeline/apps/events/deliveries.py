"""Deliveries: a receiver's events go to it one by one, in their order, until it has taken each, or for three days.

A receiver that is away holds up its own alone: all of its events wait, and then come in their order. One event that it
refuses is tried again by itself, and those after it go on. Nothing is held while the network is waited for; what came
of it is written under the lease. Where a worker is killed before that, the next one sends again: at least once.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F, Q, QuerySet

from ml_pipeline.apps.events import clock, letters, receivers, signatures
from ml_pipeline.apps.events.models import Delivery, DeliveryState, Kind, Receiver
from ml_pipeline.apps.events.outcomes import Outcome, Verdict
from ml_pipeline.apps.events.webhooks import Sender
from ml_pipeline.apps.jobs import rests
from ml_pipeline.apps.jobs.leases import Lease

# The pause after a first failure, and the longest; between, each is twice the one before, give or take a quarter.
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3_600.0
SPREAD: Final = 0.25
TRIED_DAYS: Final = 3
# With fewer failures in a row nothing is given up, unless it is twice as old: no worker may have been there for days.
# So many take an hour or more.
LEAST_TRIES: Final = 10
# Whoever is slow gives others their turn after that.
STEP_S: Final = 5.0
# Of those that are given up in one transaction.
ROWS: Final = 200
WORKER: Final = "worker"
GIVEN_UP: Final = f"Given up: it was not taken in {TRIED_DAYS} days."

_SYSTEM = random.SystemRandom()

Send = Callable[[Receiver, Delivery, datetime], Outcome]


def work(lease: Lease) -> float | None:
    """Delivers what waits for the receiver that the lease is for; seconds until there is more to do."""
    return Deliverer(sent_by(Sender(settings.WEBHOOK_ALLOW))).step(lease)


def sent_by(sender: Sender) -> Send:
    """Sends by that sender what is for webhooks, and by mail the rest."""

    def send(receiver: Receiver, delivery: Delivery, now: datetime) -> Outcome:
        if receiver.kind == Kind.EMAIL:
            return letters.send(receiver.address, delivery.uid, json.loads(delivery.payload))
        body = delivery.payload.encode()
        at_s = int(now.timestamp())
        signed = signatures.headers(str(delivery.uid), body, receivers.salts(receiver, now), at_s)
        return sender.send(receiver.address, signed, body)

    return send


class Deliverer:
    """Does steps of deliveries. `clock` says the database's time, `draw` a number from 0 to 1."""

    def __init__(
        self,
        send: Send,
        *,
        clock: Callable[[], datetime] = clock.now,
        draw: Callable[[], float] = _SYSTEM.random,
    ) -> None:
        self._send, self._clock, self._draw = send, clock, draw

    def step(self, lease: Lease) -> float | None:
        """Delivers for a few seconds. In how many there is more to do; None where nothing waits."""
        until = time.monotonic() + STEP_S
        while not lease.is_unwanted and time.monotonic() < until:
            receiver = Receiver.objects.filter(pk=int(lease.subject), is_active=True).first()
            if receiver is None:
                return None
            now = self._clock()
            if receiver.resumes_at is not None and receiver.resumes_at > now:
                return (receiver.resumes_at - now).total_seconds()
            waiting = Delivery.objects.filter(receiver_id=receiver.pk, state=DeliveryState.QUEUED)
            delivery = waiting.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)).order_by("pk").first()
            if delivery is None:
                following = waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
                return None if following is None else max((following - now).total_seconds(), 0.0)
            outcome = self._send(receiver, delivery, now)
            with lease.held():
                self._settle(receiver, delivery, outcome)
            if outcome.verdict is Verdict.AWAY:
                self._give_up_old(lease, receiver)
        return 0.0

    def _settle(self, receiver: Receiver, delivery: Delivery, outcome: Outcome) -> None:
        # Before its deliveries: whoever sends one again locks the two in this order.
        present = Receiver.objects.select_for_update().filter(pk=receiver.pk).first()
        if present is None:
            return
        now = self._clock()
        told = {"attempts": F("attempts") + 1, "last_status": outcome.status, "last_error": outcome.error}
        ours = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.QUEUED)
        them = Receiver.objects.filter(pk=receiver.pk)
        if outcome.verdict in (Verdict.AWAY, Verdict.GONE) and present.address != receiver.address:
            # It was said of where the receiver is no more.
            ours.update(**told)
            return
        if outcome.verdict is Verdict.DELIVERED:
            ours.update(state=DeliveryState.DELIVERED, ended_at=now, next_attempt_at=None, **told)
        elif outcome.verdict is Verdict.REFUSED:
            pause = timedelta(seconds=self._pause_s(delivery.attempts, outcome.retry_after_s))
            ours.update(next_attempt_at=now + pause, **told)
            give_up(ours.filter(asked_at__lte=_limit(delivery.attempts + 1, now)), now)
        elif outcome.verdict is Verdict.GONE:
            ours.update(state=DeliveryState.FAILED, ended_at=now, next_attempt_at=None, **told)
            receivers.deactivate(receiver.pk, actor=WORKER)
        else:
            ours.update(**told)
            pause = timedelta(seconds=self._pause_s(present.failures, outcome.retry_after_s))
            them.update(failures=F("failures") + 1, resumes_at=now + pause)
            return
        them.filter(failures__gt=0).update(failures=0, resumes_at=None)

    def _give_up_old(self, lease: Lease, receiver: Receiver) -> None:
        # All of them, however many: one that is away for good is tried once an hour, and more may come in an hour.
        while not lease.is_unwanted:
            with rests.held(lease):
                now = self._clock()
                failures = Receiver.objects.filter(pk=receiver.pk).values_list("failures", flat=True).first() or 0
                waiting = Delivery.objects.filter(receiver_id=receiver.pk, state=DeliveryState.QUEUED)
                if give_up(waiting.filter(asked_at__lte=_limit(failures, now)), now) < ROWS:
                    return

    def _pause_s(self, failures: int, wanted_s: float | None) -> float:
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), LONGEST_PAUSE_S)
        spread_s = pause_s * (1 - SPREAD + 2 * SPREAD * self._draw())
        return min(max(spread_s, wanted_s or 0.0), LONGEST_PAUSE_S)


def _limit(tries: int, now: datetime) -> datetime:
    # What was asked for until then is given up after so many tries.
    return now - timedelta(days=TRIED_DAYS if tries >= LEAST_TRIES else 2 * TRIED_DAYS)


def give_up(rows: QuerySet[Delivery], now: datetime) -> int:
    """Of how many of `rows` no more is tried, at most ROWS at a time. Belongs in a transaction under a lease."""
    pks = list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS])
    given_up = Delivery.objects.filter(pk__in=pks, state=DeliveryState.QUEUED)
    given_up.filter(last_error="").update(last_error=GIVEN_UP)
    return given_up.update(state=DeliveryState.FAILED, ended_at=now, next_attempt_at=None)
