"""The table of group commits: what makes the log of predictions checkable."""

from __future__ import annotations

from django.db import models


class JournalBatch(models.Model):
    """One commit of one writer (a serving process): its number of rows, and a hash chained along the writer."""

    writer = models.UUIDField()
    seq = models.BigIntegerField()
    rows = models.IntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("writer", "seq"), name="predictions_batch_writer_seq"),)

    def __str__(self) -> str:
        return f"{self.writer}/{self.seq}"
