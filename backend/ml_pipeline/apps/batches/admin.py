"""Batch jobs in Django's admin, to be read."""

from __future__ import annotations

from django.contrib import admin

from ml_pipeline.apps.accounts.admin import ReadOnly
from ml_pipeline.apps.batches.models import BatchJob


@admin.register(BatchJob)
class BatchJobAdmin(ReadOnly):
    """Batch jobs."""

    list_display = (
        *("id", "file_name", "parent_endpoint", "parent_mlalgorithm", "state"),
        *("rows_total", "rows_done", "rows_rejected", "created_by", "created_at", "ended_at"),
    )
    list_select_related = ("parent_endpoint", "parent_mlalgorithm")
