"""Batch jobs: asked for, cancelled; every change of one that a person makes."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import OVER, BatchJob, Format, State
from ml_pipeline.apps.endpoints import changes
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.errors import Conflict

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
    uid = uuid4()
    name = files.storage().save(files.input_name(uid), content)
    try:
        with transaction.atomic():
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
    except BaseException:
        with contextlib.suppress(OSError):
            files.storage().delete(name)
        raise
    return job


def kind_of(job: BatchJob) -> str:
    """The kind of the job that scores it."""
    return SHORT if job.input_bytes <= SHORT_BYTES else SCORING


def cancel(job_id: int, *, actor: str) -> BatchJob:
    """The job, which goes no further; its files are removed. Raises Conflict where it succeeded or failed already."""
    with transaction.atomic():
        # Whoever works on it finds out with what it changes next; the files are removed by a job as well. Asked first:
        # he locks the two in this order.
        jobs.ask(kind_of(BatchJob.objects.only("input_bytes").get(pk=job_id)), str(job_id))
        job = BatchJob.objects.select_for_update().get(pk=job_id)
        if job.state == State.CANCELLED:
            return job
        if job.state in OVER:
            raise Conflict(f"The batch {job.pk} has {job.state} already.")
        BatchJob.objects.filter(pk=job.pk).update(state=State.CANCELLED, ended_at=DatabaseNow())
        changes.record("batch.cancelled", job, job.parent_endpoint, actor=actor, batch=job.pk)
    job.refresh_from_db()
    return job


def made_at(job_id: int) -> datetime | None:
    """When the job was asked for; None where there is none such."""
    return BatchJob.objects.filter(pk=job_id).values_list("created_at", flat=True).first()
