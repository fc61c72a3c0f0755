"""The table of the revision: one row, locked by whoever changes what the data plane must see."""

from __future__ import annotations

from django.db import models


class Revision(models.Model):
    """The single row with the current revision; its first migration makes it."""

    number = models.BigIntegerField(default=1)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="events_revision_single_row"),)

    def __str__(self) -> str:
        return str(self.number)
