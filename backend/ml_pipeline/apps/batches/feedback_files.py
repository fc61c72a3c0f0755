"""Feedback files: asked to be told, cancelled."""

from __future__ import annotations

from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.batches import cancellations, files
from ml_pipeline.apps.batches.models import FeedbackFile
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.jobs import jobs

# The kind of the jobs that tell; one a file, its subject the file's id.
TELLING = "feedback"


def create(content: File[Any], endpoint: Endpoint, file_name: str, encoding: str = "", *, actor: str) -> FeedbackFile:
    """What `content` says of requests of `endpoint` is told by `actor`. When this returns, it is stored."""
    with files.sent(content) as uid, transaction.atomic():
        file = FeedbackFile.objects.create(
            uid=uid,
            parent_endpoint=endpoint,
            created_by=actor,
            created_at=timezone.now(),
            file_name=file_name,
            input_bytes=content.size,
            encoding=encoding,
        )
        jobs.ask(TELLING, str(file.pk))
    return file


def cancel(file_id: int) -> FeedbackFile:
    """The file, of which no more is told; what was told stays. Raises Conflict where it succeeded or failed already."""
    with transaction.atomic():
        return cancellations.cancelled(FeedbackFile, file_id, TELLING, "feedback file")[0]
