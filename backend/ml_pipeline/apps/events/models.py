"""The revision, one row, locked by whoever changes what the data plane must see; who serves which; and the audit.

With it who is told of what is in it, and what is on its way to them.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn
from uuid import uuid4

from django.db import models


class Revision(models.Model):
    """The single row with the current revision; its first migration makes it."""

    # Not made by the database: MySQL checks no column that it numbers by itself.
    id = models.BigIntegerField(primary_key=True)
    number = models.BigIntegerField(default=1)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="events_revision_single_row"),)

    def __str__(self) -> str:
        return str(self.number)


class ServingProcess(models.Model):
    """One process that answers predictions, from its start to its end; another with its pid has a row of its own."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.BigIntegerField()
    # The highest revision whose keys and live routes it serves; 0 before the first.
    revision = models.BigIntegerField(default=0)
    # By the database's clock. Without an index: few rows, written every other second.
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name = "serving process"
        verbose_name_plural = "serving processes"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid} at {self.revision}"


class AppendOnly(models.QuerySet["Event"]):
    """Events are added, and that is all."""

    def update(self, **changes: Any) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("events are never changed")

    def delete(self) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("events are never deleted")


class Event(models.Model):
    """One change: who did what to which subject, when, from where. Append-only.

    Without a team it concerns all of them. `address` is empty where the server's own command made the change.
    """

    MAX_SUBJECT: ClassVar[int] = 255

    action = models.CharField(max_length=63)
    subject = models.CharField(max_length=MAX_SUBJECT)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=45, blank=True)
    team_id = models.BigIntegerField(null=True)
    endpoint_id = models.BigIntegerField(null=True)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    objects = AppendOnly.as_manager()

    class Meta:
        indexes = (models.Index(fields=("team_id", "id"), name="events_event_team"),)

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Inserts it; an event never changes."""
        if not self._state.adding:
            raise TypeError("events are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("events are never deleted")


class Kind(models.TextChoices):
    """How a receiver is told."""

    WEBHOOK = "webhook"
    EMAIL = "email", "e-mail"


class Receiver(models.Model):
    """Who is told of which events, and where: a URL or an e-mail address.

    Without a team of those of all teams, with an endpoint of those of that endpoint alone. `events` are patterns (see
    `catalogue`). What concerns no endpoint is for those with `administration`.
    """

    MAX_ADDRESS: ClassVar[int] = 2_000

    team_id = models.BigIntegerField(null=True)
    endpoint_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    address = models.CharField(max_length=MAX_ADDRESS)
    events = models.JSONField()
    administration = models.BooleanField(default=False)
    description = models.TextField(blank=True, default="")
    is_active = models.BooleanField(default=True)
    # Of the secret that webhooks are signed with only this is here; the rest is the server's secret key (`signatures`).
    # The one before is used as well until its time is over.
    salt = models.CharField(max_length=64)
    previous_salt = models.CharField(max_length=64, blank=True)
    previous_until_at = models.DateTimeField(null=True)
    # How often in a row it was away, and until when nothing is tried therefore; by the database's clock.
    failures = models.IntegerField(default=0)
    resumes_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind}"


class DeliveryState(models.TextChoices):
    """What has become of a delivery."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(models.Model):
    """One event on its way to one receiver, written with the event: its text stays as it was then.

    Both are named by plain ids: the event is never deleted, and what a deleted receiver leaves is swept away.
    """

    uid = models.UUIDField(unique=True, default=uuid4)
    receiver_id = models.BigIntegerField()
    event_id = models.BigIntegerField()
    action = models.CharField(max_length=63)
    payload = models.TextField()
    state = models.CharField(max_length=15, choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    attempts = models.IntegerField(default=0)
    # Times are the database's. Since `asked_at` it is to be delivered: since the event, or since somebody said again.
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # What the last attempt came to: a status of HTTP or SMTP, and a sentence of ours.
    last_status = models.IntegerField(null=True)
    last_error = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=("receiver_id", "state", "id"), name="events_delivery_waiting"),
            models.Index(fields=("state", "ended_at"), name="events_delivery_ended"),
        )

    def __str__(self) -> str:
        return f"{self.action} to {self.receiver_id}: {self.state}"
