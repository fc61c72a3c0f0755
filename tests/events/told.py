"""Receivers, events and deliveries as tests make them; a clock that is set, and what a worker does at its time."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.events import audit, clock, deliveries, receivers, targets
from ml_pipeline.apps.events.deliveries import Deliverer
from ml_pipeline.apps.events.models import Delivery, Event, Kind, Receiver
from ml_pipeline.apps.events.outcomes import Outcome
from ml_pipeline.apps.events.receivers import Place
from ml_pipeline.apps.events.targets import Allowed
from ml_pipeline.apps.events.webhooks import Sender
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.jobs.models import Job

LOOPBACK, NOTHING = targets.names_and_networks(["127.0.0.1"]), targets.names_and_networks([])
ACTION = "algorithm.moved"


def team() -> int:
    """The id of the default team."""
    return int(Team.objects.get(name="default").pk)


def receiver(
    address: str, *events: str, place: Place | None = None, kind: Kind = Kind.WEBHOOK, **values: Any
) -> tuple[Receiver, str]:
    """A new one, of the default team unless said otherwise, and its secret."""
    given = {"address": address, "events": list(events or ("*",)), **values}
    made, secret = receivers.create(place or Place(team()), kind, given, actor="user:ann")
    return made, secret or ""


def happen(action: str = ACTION, subject: str = "tree 1", *, endpoint_id: int | None = 1, **values: Any) -> Event:
    """An event of the default team, committed as far as the test's own transaction is."""
    given = {"actor": "user:ann", "team_id": team(), **values}
    with transaction.atomic():
        return audit.record(action, subject, endpoint_id=endpoint_id, **given)


class Clock:
    """The database's time, which goes on when it is told to. It begins a little after what is written now."""

    def __init__(self) -> None:
        self.now = clock.now() + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def leased(kind: str, subject: str) -> Lease:
    """The lease of a job, as a worker gets it."""
    Job.objects.all().delete()
    with transaction.atomic():
        jobs.ask(kind, subject)
    lease = leases.claim([kind], "tests", lease_s=3_600)
    assert lease is not None
    return lease


class Worker:
    """Does the deliveries of receivers by one clock, with pauses that a seed draws."""

    def __init__(self, its_clock: Clock, sender: Sender | None = None, seed: int = 7) -> None:
        self.clock = its_clock
        send = deliveries.sent_by(sender or Sender(LOOPBACK, total_s=5))
        self.deliverer = Deliverer(send, clock=its_clock, draw=random.Random(seed).random)

    def step(self, receiver: Receiver) -> float | None:
        """Delivers what can be now; in how many seconds there is more."""
        lease = leased("events.delivery", str(receiver.pk))
        while (again_s := self.deliverer.step(lease)) == 0:
            pass
        return again_s

    def run(self, receiver: Receiver, seconds: float) -> list[float]:
        """Delivers for so long by its clock; the pauses that were made."""
        until, pauses = self.clock.now + timedelta(seconds=seconds), []
        while (again_s := self.step(receiver)) is not None and self.clock.now < until:
            pauses.append(again_s)
            self.clock.advance(again_s)
        return pauses


def states(receiver: Receiver) -> list[str]:
    """What has become of its deliveries, in the order of their events."""
    return list(Delivery.objects.filter(receiver_id=receiver.pk).order_by("pk").values_list("state", flat=True))


def sent(url: str, allowed: Allowed = NOTHING, addresses: tuple[str, ...] = (), **options: object) -> Outcome:
    """What becomes of an empty event; the name of the URL leads to these addresses."""
    sender = Sender(allowed, resolve=lambda *_: addresses, **{"total_s": 5.0, **options})  # type: ignore[arg-type]
    return sender.send(url, {}, b"{}")
