"""Feedback files: asked to be told, cancelled."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import uuid4

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import OVER, FeedbackFile, State
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.errors import Conflict

# The kind of the jobs that tell; one a file, its subject the file's id.
TELLING = "feedback"


def create(content: File[Any], endpoint: Endpoint, file_name: str, encoding: str = "", *, actor: str) -> FeedbackFile:
    """What `content` says of requests of `endpoint` is told by `actor`. When this returns, it is stored."""
    uid = uuid4()
    name = files.storage().save(files.input_name(uid), content)
    try:
        with transaction.atomic():
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
    except BaseException:
        with contextlib.suppress(OSError):
            files.storage().delete(name)
        raise
    return file


def cancel(file_id: int) -> FeedbackFile:
    """The file, of which no more is told; what was told stays. Raises Conflict where it succeeded or failed already."""
    with transaction.atomic():
        # Which removes what was sent. Asked first: whoever tells the file locks the two in this order.
        jobs.ask(TELLING, str(file_id))
        file = FeedbackFile.objects.select_for_update().get(pk=file_id)
        if file.state == State.CANCELLED:
            return file
        if file.state in OVER:
            raise Conflict(f"The feedback file {file.pk} has {file.state} already.")
        FeedbackFile.objects.filter(pk=file.pk).update(state=State.CANCELLED, ended_at=DatabaseNow())
    file.refresh_from_db()
    return file
