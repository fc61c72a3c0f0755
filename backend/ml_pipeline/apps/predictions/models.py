"""The tables that make the log of predictions checkable: its group commits, and what was signed about them."""

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


class SignedHeads(models.Model):
    """The latest batch of each writer as of one UTC day that had ended: a signed JSON document, its exact text."""

    day = models.DateField(unique=True)
    document = models.TextField()
    signature = models.CharField(max_length=128)

    class Meta:
        verbose_name_plural = "signed heads"

    def __str__(self) -> str:
        return str(self.day)


class Deed(models.Model):
    """What was done to the log by its operator: a signed JSON document, its exact text.

    Deeds are numbered from 1, and each names the sha256 of the one before.
    """

    number = models.BigIntegerField(unique=True)
    kind = models.CharField(max_length=16)
    document = models.TextField()
    signature = models.CharField(max_length=128)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.number}: {self.kind}"
