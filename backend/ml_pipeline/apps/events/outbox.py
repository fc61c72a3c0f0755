"""The outbox: who is told of an event is written with it, in one transaction, so that no crash comes between.

Whoever writes an event waits for nobody: workers are woken after the commit, each receiver's job in a transaction of
its own. Should that be lost, the sweep finds what waits (`sweeps`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.db.models import Q

from ml_pipeline.apps.events import catalogue, hooks
from ml_pipeline.apps.events.models import Delivery, Event, Receiver
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow

# The kinds of the jobs: what delivers, one a receiver, its subject the receiver's id; and the one that looks after all
# of them every minute while there are receivers (`sweeps`).
DELIVERING, SWEEPING = "events.delivery", "events.sweep"
SWEEP_S: Final = 60.0


def put(event: Event) -> None:
    """All who want `event` will be told of it, once the caller's transaction commits. Must be called inside it."""
    if event.action == catalogue.TEST:
        return
    theirs = Receiver.objects.filter(
        Q(team_id=None) | Q(team_id=event.team_id), Q(endpoint_id=None) | Q(endpoint_id=event.endpoint_id)
    )
    if event.endpoint_id is None:
        theirs = theirs.filter(administration=True)
    wanting = [one for one in theirs.filter(is_active=True) if catalogue.is_wanted(event.action, one.events)]
    put_for(wanting, event)


def put_for(receivers: Sequence[Receiver], event: Event) -> list[Delivery]:
    """What is on its way to each of `receivers` now, named by `uid`: not every database says the ids of many rows.

    Must be called inside the event's transaction.
    """
    if not receivers:
        return []
    payload = _payload(event)
    # The moment is the database's; an event may have been written a little earlier.
    made = [
        Delivery(
            receiver_id=one.pk,
            event_id=event.pk,
            action=event.action,
            payload=payload,
            created_at=DatabaseNow(),
            asked_at=DatabaseNow(),
        )
        for one in receivers
    ]
    # In one statement, however many they are: whoever makes the change waits for it.
    Delivery.objects.bulk_create(made)
    for delivery in made:
        wake(delivery.receiver_id)
    transaction.on_commit(_begin_sweep_again, robust=True)
    return made


def wake(receiver_id: int) -> None:
    """A worker looks after that receiver once the caller's transaction has committed."""
    # Not before: whoever holds several jobs' rows until his transaction ends would wait for another who does.
    transaction.on_commit(functools.partial(_ask, receiver_id), robust=True)


def ask_to_sweep() -> None:
    """There is a sweep from now on, while there is anything to sweep. Belongs at the beginning of a transaction."""
    jobs.ask(SWEEPING, "", in_s=SWEEP_S)


def _ask(receiver_id: int) -> None:
    with transaction.atomic():
        jobs.ask(DELIVERING, str(receiver_id))


def _begin_sweep_again() -> None:
    # Where it failed too often for a while: nobody else would.
    if jobs.given_up(SWEEPING, ("",)):
        with transaction.atomic():
            ask_to_sweep()


def _payload(event: Event) -> str:
    # ASCII: every database keeps it as it is.
    return json.dumps(
        {
            "id": event.pk,
            "type": event.action,
            "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
            "team": hooks.team(event.team_id),
            "endpoint": hooks.endpoint(event.endpoint_id) or event.details.get("endpoint"),
            "subject": event.subject,
            "actor": event.actor,
            "details": event.details,
        },
        separators=(",", ":"),
        default=str,
    )
