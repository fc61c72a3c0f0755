"""The audit of changes: who did what, when, from where. Written in the transaction of the change, and never changed.

Predictions and feedback are not in it: they have logs of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.events import catalogue, outbox
from ml_pipeline.apps.events.models import Event

_address: ContextVar[str] = ContextVar("address", default="")


def record(
    action: str,
    subject: str,
    *,
    actor: str,
    team_id: int | None = None,
    endpoint_id: int | None = None,
    **details: Any,
) -> Event:
    """`actor` has done `action` (`endpoint.created`) to `subject`, which belongs to that team and endpoint.

    `details` say what changed, and are JSON values. Whoever wants to know is told (see `outbox`). Must be called inside
    the transaction that makes the change.
    """
    if action not in catalogue.ACTIONS:
        raise ValueError(f"{action!r} is not in the catalogue of events")
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("record() belongs in the transaction that makes the change")
    event = Event.objects.create(
        action=action,
        subject=subject[: Event.MAX_SUBJECT],
        actor=actor,
        address=_address.get(),
        team_id=team_id,
        endpoint_id=endpoint_id,
        details=details,
        created_at=timezone.now(),
    )
    outbox.put(event)
    return event


@contextmanager
def coming_from(address: str) -> Iterator[None]:
    """What is recorded in the block was asked for from `address`."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)
