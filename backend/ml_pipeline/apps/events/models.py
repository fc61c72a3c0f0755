"""The revision, one row, locked by whoever changes what the data plane must see; and who serves which revision."""

from __future__ import annotations

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
