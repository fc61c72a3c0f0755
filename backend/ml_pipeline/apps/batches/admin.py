"""Batch jobs and feedback files in Django's admin, to be read."""

from __future__ import annotations

from django.contrib import admin

from ml_pipeline.apps.accounts.admin import ReadOnly
from ml_pipeline.apps.batches.models import BatchJob, FeedbackFile


@admin.register(BatchJob)
class BatchJobAdmin(ReadOnly):
    """Batch jobs."""

    list_display = (
        *("id", "file_name", "parent_endpoint", "parent_mlalgorithm", "state"),
        *("rows_total", "rows_done", "rows_rejected", "created_by", "created_at", "ended_at"),
    )
    list_select_related = ("parent_endpoint", "parent_mlalgorithm")


@admin.register(FeedbackFile)
class FeedbackFileAdmin(ReadOnly):
    """Feedback files."""

    list_display = (
        *("id", "file_name", "parent_endpoint", "state", "next_row"),
        *("accepted", "unchanged", "unknown", "invalid", "created_by", "created_at", "ended_at"),
    )
    list_select_related = ("parent_endpoint",)
