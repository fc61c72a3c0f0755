"""Batch jobs: asked for, cancelled; every change of one that a person makes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.batches import cancellations, files
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.endpoints import changes
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.jobs import jobs

# The kinds of the jobs that score; one a batch, its subject the batch's id. Whoever sends few rows mostly waits for
# them, and no worker has him wait for a long file of others.
SCORING, SHORT = "batch", "batch.short"
SHORT_BYTES = 1_000_000


class Asked(NamedTuple):
    """What is wanted of a file. `encoding` is empty where none was declared."""

    file_name: str
    input_format: Format
    output_format: Format
    encoding: str = ""
    probabilities: bool = False
    log_requests: bool = True


def create(content: File[Any], algorithm: MLAlgorithm, asked: Asked, *, actor: str, key_id: int | None) -> BatchJob:
    """A job that scores the rows of `content` by `algorithm`. When this returns, file and job are stored."""
    with files.sent(content) as uid, transaction.atomic():
        job = BatchJob.objects.create(
            uid=uid,
            parent_endpoint=algorithm.parent_endpoint,
            parent_mlalgorithm=algorithm,
            digest=algorithm.artifact_digest,
            # The one that answers online, so that no label differs; taken apart it is the faster one, too.
            runtime=algorithm.runtime,
            created_by=actor,
            key_id=key_id,
            created_at=timezone.now(),
            input_bytes=content.size,
            **asked._asdict(),
        )
        jobs.ask(kind_of(job), str(job.pk))
        changes.record("batch.created", job, algorithm.parent_endpoint, actor=actor, batch=job.pk)
    return job


def kind_of(job: BatchJob) -> str:
    """The kind of the job that scores it."""
    return SHORT if job.input_bytes <= SHORT_BYTES else SCORING


def cancel(job_id: int, *, actor: str) -> BatchJob:
    """The job, which goes no further; its files are removed. Raises Conflict where it succeeded or failed already."""
    with transaction.atomic():
        kind = kind_of(BatchJob.objects.only("input_bytes").get(pk=job_id))
        job, is_changed = cancellations.cancelled(BatchJob, job_id, kind, "batch")
        if is_changed:
            changes.record("batch.cancelled", job, job.parent_endpoint, actor=actor, batch=job.pk)
    return job


def record_end(action: str, job: BatchJob, **details: Any) -> None:
    """The end of `job`, which it came to by itself, as the audit has it. Belongs in the transaction that ends it."""
    told = {"batch": job.pk, "asked_by": job.created_by, **details}
    changes.record(action, job, job.parent_endpoint, actor=f"batch:{job.pk}", **told)


def made_at(job_id: int) -> datetime | None:
    """When the job was asked for; None where there is none such."""
    return BatchJob.objects.filter(pk=job_id).values_list("created_at", flat=True).first()


def writer_made_at(writer: UUID) -> datetime | None:
    """When the job that is this writer of the log was asked for; None where no job is."""
    return BatchJob.objects.filter(uid=writer).values_list("created_at", flat=True).first()
