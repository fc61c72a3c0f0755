"""Batch jobs and their chunks: what is to be scored with what, and how far that is."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm


class State(models.TextChoices):
    """What has become of a batch job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Those that a job does not leave any more.
OVER = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Format(models.TextChoices):
    """What a file is."""

    CSV = "csv", "CSV"
    PARQUET = "parquet", "Parquet"


class BatchJob(models.Model):
    """One file to score. What it was asked with never changes, nor the algorithm, its bundle and its runtime."""

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    # By which its rows' ids are made, its files are named, and its commits are chained in the log.
    uid = models.UUIDField(unique=True)
    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="batches")
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="batches")
    digest = models.CharField(max_length=64)
    runtime = models.CharField(max_length=32)
    created_by = models.CharField(max_length=150)
    key_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    # The file as it was sent: its name there and its bytes; how it is read. An encoding where one was declared.
    file_name = models.CharField(max_length=255)
    input_bytes = models.BigIntegerField()
    input_format = models.CharField(max_length=15, choices=Format.choices)
    encoding = models.CharField(max_length=15, blank=True)
    # What is written, and whether each row is in the log of predictions.
    output_format = models.CharField(max_length=15, choices=Format.choices)
    probabilities = models.BooleanField()
    log_requests = models.BooleanField()
    # How far it is. `rows_total` is known once the file was looked through; rows are done when they are answered or
    # rejected, and logged. `attempts` have begun since there was progress.
    state = models.CharField(max_length=15, choices=State.choices, default=State.QUEUED)
    rows_total = models.BigIntegerField(null=True)
    rows_done = models.BigIntegerField(default=0)
    rows_rejected = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    # The revision when it began, and the last of its commits in the log: their number and its sha256.
    revision = models.BigIntegerField(null=True)
    log_seq = models.BigIntegerField(default=0)
    log_sha256 = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # Why it failed, in a sentence.
    error = models.TextField(blank=True)
    result_bytes = models.BigIntegerField(null=True)
    # When its result and what was rejected were removed; a job that is over without success has no files.
    removed_at = models.DateTimeField(null=True)

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "batch job"

    def __str__(self) -> str:
        return f"{self.pk}: {self.file_name}"


class BatchChunk(models.Model):
    """Some consecutive rows of a job's file (see `cuts.Cut`). Written when the file was looked through.

    `logged` of its answered rows are in the log. It is done when `done_at` is set: then `answered` and `rejected` say
    what became of its rows, and its part of the output and of the errors are in the files that `token` names.
    """

    job = models.ForeignKey(BatchJob, on_delete=models.CASCADE, related_name="chunks")
    number = models.IntegerField()
    offset = models.BigIntegerField()
    length = models.BigIntegerField()
    first_row = models.BigIntegerField()
    first_line = models.BigIntegerField()
    rows = models.IntegerField()
    logged = models.IntegerField(default=0)
    answered = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    token = models.CharField(max_length=32, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="batches_chunk_number"),)

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"


class FeedbackFile(models.Model):
    """A file of true outcomes of requests of one endpoint, told piece by piece.

    What is told is counted in the transaction that tells it, with the place in the plain file at which the next piece
    begins. `problems` lists the first lines that were refused: [line, request id, what is wrong].
    """

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    uid = models.UUIDField(unique=True)
    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="feedback_files")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    file_name = models.CharField(max_length=255)
    input_bytes = models.BigIntegerField()
    encoding = models.CharField(max_length=15, blank=True)
    state = models.CharField(max_length=15, choices=State.choices, default=State.QUEUED)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    next_offset = models.BigIntegerField(null=True)
    next_line = models.BigIntegerField(default=0)
    next_row = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    unknown = models.BigIntegerField(default=0)
    invalid = models.BigIntegerField(default=0)
    problems = models.JSONField(default=list)

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "feedback file"

    def __str__(self) -> str:
        return f"{self.pk}: {self.file_name}"
