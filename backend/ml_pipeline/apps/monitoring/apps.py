"""The app's registration with Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease

# The standing jobs that fold, and that test for drift what was folded.
FOLDING = "monitoring.folding"
DRIFT = "monitoring.drift"


class MonitoringConfig(AppConfig):
    """Labels the app `monitoring`, and has its jobs done wherever a worker runs."""

    name = "ml_pipeline.apps.monitoring"
    label = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.jobs import handlers

        handlers.register(FOLDING, _fold, at_once=1, is_standing=True, has_work=_has_work)
        handlers.register(DRIFT, _test_for_drift, at_once=1, is_standing=True, has_work=_may_test_for_drift)


# A process that only serves needs none of the libraries of this.
def _fold(lease: Lease) -> float | None:
    from ml_pipeline.apps.monitoring import folding

    return folding.work(lease)


def _has_work() -> bool:
    from ml_pipeline.apps.monitoring import folding

    return folding.has_work()


def _test_for_drift(lease: Lease) -> float | None:
    from ml_pipeline.apps.monitoring import drift_windows

    return drift_windows.work(lease)


def _may_test_for_drift() -> bool:
    from ml_pipeline.apps.monitoring import drift_windows

    return drift_windows.has_work()
