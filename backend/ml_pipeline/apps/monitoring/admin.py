"""Windows, alarms and alerts in Django's admin, to be read."""

from __future__ import annotations

from django.contrib import admin

from ml_pipeline.apps.accounts.admin import ReadOnly
from ml_pipeline.apps.monitoring.models import Alarm, Alert, AlertRule, DriftTest, Window


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


@admin.register(AlertRule)
class AlertRuleAdmin(ReadOnly):
    """When a figure is a breach."""

    list_display = (
        *("name", "parent_endpoint", "measure", "feature", "label", "condition", "threshold", "window_hours"),
        *("min_rows", "is_active", "evaluated_at"),
    )
    list_filter = ("measure", "is_active")
    list_select_related = ("parent_endpoint",)


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    """Breaches that were seen, and how they ended."""

    list_display = (
        *("name", "parent_endpoint", "parent_mlalgorithm", "measure", "condition", "threshold", "value", "worst"),
        *("opened_at", "closed_at", "outcome"),
    )
    list_filter = ("measure", "outcome")
    list_select_related = ("parent_endpoint", "parent_mlalgorithm")
