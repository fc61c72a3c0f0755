"""Windows and alarms in Django's admin, to be read."""

from __future__ import annotations

from django.contrib import admin

from ml_pipeline.apps.accounts.admin import ReadOnly
from ml_pipeline.apps.monitoring.models import Alarm, DriftTest, Window


@admin.register(Window)
class WindowAdmin(ReadOnly):
    """The totals of hours, days and weeks."""

    list_display = (
        *("parent_mlalgorithm", "hours", "begins_at", "requests", "errors", "batched", "erased", "unreadable"),
        *("labelled", "correct", "unscored", "rewarded"),
    )
    list_filter = ("hours",)
    list_select_related = ("parent_mlalgorithm",)


@admin.register(Alarm)
class AlarmAdmin(ReadOnly):
    """Drops of accuracy that were noticed, and recoveries."""

    list_display = ("parent_mlalgorithm", "kind", "labelled", "accuracy", "of_labels", "created_at")
    list_filter = ("kind",)
    list_select_related = ("parent_mlalgorithm",)


@admin.register(DriftTest)
class DriftTestAdmin(ReadOnly):
    """Whether what algorithms were asked looked like their reference."""

    list_display = ("parent_mlalgorithm", "from_at", "to_at", "rows", "tested", "is_alarm", "created_at")
    list_filter = ("is_alarm",)
    list_select_related = ("parent_mlalgorithm",)
