"""Receivers of events: made, changed, removed, tried out; each change is an event itself.

Who may do that is asked above; here is what a receiver may be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.events import audit, catalogue, letters, outbox, signatures, targets
from ml_pipeline.apps.events.models import Delivery, DeliveryState, Event, Kind, Receiver
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound

# For so long after a change of the secret webhooks are signed with the one before as well.
OVERLAP_HOURS: Final = 24
MOST_OF_A_TEAM: Final = 50
MAX_EMAIL: Final = 254
CHANGEABLE: Final = ("address", "events", "administration", "description", "is_active")


class Place(NamedTuple):
    """Whose events: of a team, or of all of them; of one endpoint, or of all of the team's."""

    team_id: int | None
    endpoint_id: int | None = None


def create(place: Place, kind: Kind, values: Mapping[str, Any], *, actor: str) -> tuple[Receiver, str | None]:
    """A new receiver, and of a webhook the secret that it verifies by, which is nowhere stored.

    `values` has `address` and `events`, and any other of CHANGEABLE. Raises InvalidInput, and Conflict for too many.
    """
    receiver = Receiver(
        team_id=place.team_id,
        endpoint_id=place.endpoint_id,
        kind=kind,
        salt=signatures.salt(),
        created_by=actor,
        created_at=timezone.now(),
        **{name: values[name] for name in CHANGEABLE if name in values},
    )
    _check(receiver, CHANGEABLE)
    with transaction.atomic():
        # Jobs first: whoever does them locks in this order.
        outbox.ask_to_sweep()
        if Receiver.objects.filter(team_id=place.team_id).count() >= MOST_OF_A_TEAM:
            raise Conflict(f"There are {MOST_OF_A_TEAM} receivers in this team already, as many as there may be.")
        receiver.save(force_insert=True)
        given = {name: getattr(receiver, name) for name in CHANGEABLE if name != "description"}
        _record("receiver.created", receiver, actor, **_told(receiver, given))
    return receiver, signatures.shown(receiver.salt) if kind == Kind.WEBHOOK else None


def change(receiver_id: int, values: Mapping[str, Any], *, actor: str) -> Receiver:
    """The receiver with those of CHANGEABLE that `values` has; the same again changes nothing. Raises InvalidInput."""
    with transaction.atomic():
        receiver = locked(receiver_id)
        changed = {name: one for name, one in values.items() if name in CHANGEABLE and one != getattr(receiver, name)}
        if not changed:
            return receiver
        for name, value in changed.items():
            setattr(receiver, name, value)
        _check(receiver, changed)
        if changed.keys() & {"address", "is_active"}:
            # What was wrong may be right now.
            receiver.failures, receiver.resumes_at = 0, None
        receiver.save()
        _record("receiver.changed", receiver, actor, **_told(receiver, changed))
        outbox.wake(receiver.pk)
    return receiver


def remove(receiver_id: int, *, actor: str) -> None:
    """It is told of nothing any more, nor of what waits. Raises NotFound."""
    with transaction.atomic():
        receiver = locked(receiver_id)
        pk = receiver.pk
        receiver.delete()
        receiver.pk = pk
        _record("receiver.deleted", receiver, actor)


def rotate(receiver_id: int, *, actor: str) -> tuple[Receiver, str]:
    """The receiver with another secret, and that; for OVERLAP_HOURS it is signed with the one before as well.

    Raises Conflict where nothing is signed.
    """
    with transaction.atomic():
        receiver = locked(receiver_id)
        if receiver.kind != Kind.WEBHOOK:
            raise Conflict("E-mails are not signed, so there is no secret to change.")
        receiver.previous_salt, receiver.salt = receiver.salt, signatures.salt()
        receiver.previous_until_at = DatabaseNow() + timedelta(hours=OVERLAP_HOURS)
        receiver.save(update_fields=["salt", "previous_salt", "previous_until_at"])
        _record("receiver.rotated", receiver, actor)
    receiver.refresh_from_db()
    return receiver, signatures.shown(receiver.salt)


def test(receiver_id: int, *, actor: str) -> Delivery:
    """The delivery of an event that is for this receiver alone. Raises Conflict where it is switched off."""
    with transaction.atomic():
        receiver = locked(receiver_id)
        if not receiver.is_active:
            raise Conflict("The receiver is switched off; set is_active first.")
        event = _record(catalogue.TEST, receiver, actor)
        (delivery,) = outbox.put_for([receiver], event)
    return Delivery.objects.get(uid=delivery.uid)


def retry(delivery_id: int, *, actor: str) -> Delivery:
    """The delivery, on its way again, or at once where it waits.

    Raises Conflict where the receiver is switched off, and NotFound.
    """
    with transaction.atomic():
        # The receiver first: whoever delivers locks the two in this order.
        receiver = locked(Delivery.objects.filter(pk=delivery_id).values_list("receiver_id", flat=True).first() or 0)
        delivery = Delivery.objects.select_for_update().filter(pk=delivery_id).first()
        if delivery is None:
            raise NotFound("The delivery was removed, because it was long over.")
        if not receiver.is_active:
            raise Conflict("The receiver is switched off; set is_active first.")
        if delivery.state != DeliveryState.QUEUED or delivery.attempts or receiver.failures:
            Delivery.objects.filter(pk=delivery.pk).update(
                state=DeliveryState.QUEUED, attempts=0, next_attempt_at=None, ended_at=None, asked_at=DatabaseNow()
            )
            Receiver.objects.filter(pk=receiver.pk).update(failures=0, resumes_at=None)
            _record("delivery.retried", receiver, actor, delivery=str(delivery.uid), type=delivery.action)
            outbox.wake(receiver.pk)
    delivery.refresh_from_db()
    return delivery


def deactivate(receiver_id: int, *, actor: str) -> None:
    """It is told of nothing new; what waits waits until it is switched on again. Belongs in a transaction."""
    receiver = Receiver.objects.filter(pk=receiver_id).first()
    if Receiver.objects.filter(pk=receiver_id, is_active=True).update(is_active=False) and receiver is not None:
        _record("receiver.deactivated", receiver, actor)


def locked(receiver_id: int) -> Receiver:
    """The receiver, locked until the caller's transaction ends. Raises NotFound when it is gone."""
    receiver = Receiver.objects.select_for_update().filter(pk=receiver_id).first()
    if receiver is None:
        raise NotFound(f"There is no receiver with the id {receiver_id}.")
    return receiver


def salts(receiver: Receiver, now: datetime) -> list[str]:
    """Of the secrets that are valid at `now`, the newest first."""
    is_overlapping = receiver.previous_until_at is not None and now < receiver.previous_until_at
    return [receiver.salt, receiver.previous_salt] if is_overlapping and receiver.previous_salt else [receiver.salt]


def shown_address(receiver: Receiver) -> str:
    """Where it is, without what may be secret in a URL."""
    if receiver.kind != Kind.WEBHOOK:
        return receiver.address
    try:
        return targets.parsed(receiver.address).shown
    except InvalidInput:
        return ""


def _record(action: str, receiver: Receiver, actor: str, **details: Any) -> Event:
    about = {"receiver": receiver.pk, "kind": str(receiver.kind), **details}
    return audit.record(
        action,
        shown_address(receiver),
        actor=actor,
        team_id=receiver.team_id,
        endpoint_id=receiver.endpoint_id,
        **about,
    )


def _told(receiver: Receiver, values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "address": shown_address(receiver)} if "address" in values else dict(values)


def _check(receiver: Receiver, changed: Collection[str]) -> None:
    complaints: list[Complaint] = []
    if "address" in changed:
        if receiver.kind == Kind.WEBHOOK:
            targets.read(receiver.address, settings.WEBHOOK_ALLOW)
        else:
            complaints += _of_email(receiver.address)
    if "events" in changed:
        complaints += _of_patterns(receiver.events)
    if complaints:
        raise InvalidInput(complaints)


def _of_email(address: str) -> Iterator[Complaint]:
    if not letters.is_set_up():
        yield Complaint(None, "kind", "webhook: no mail server is set (ML_PIPELINE_EMAIL_URL)", "'email'")
        return
    try:
        validate_email(address)
        is_address = len(address) <= MAX_EMAIL and address.isascii() and address.isprintable()
    except ValidationError:
        is_address = False
    if not is_address:
        yield Complaint(None, "address", "an e-mail address", repr(address[:80]))


def _of_patterns(patterns: list[str]) -> Iterator[Complaint]:
    if not 1 <= len(patterns) <= catalogue.MOST_PATTERNS:
        yield Complaint(None, "events", f"1 to {catalogue.MOST_PATTERNS} patterns", str(len(patterns)))
    for one in patterns:
        if not catalogue.means_something(one):
            expected = "events of docs/webhooks.md, such as abtest.ended, abtest.* or *"
            yield Complaint(None, "events", expected, repr(one))
            return
