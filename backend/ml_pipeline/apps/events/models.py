"""The revision, one row, locked by whoever changes what the data plane must see; who serves which; and the audit."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

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
