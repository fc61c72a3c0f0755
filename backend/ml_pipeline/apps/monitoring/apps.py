"""The app's registration with Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease

# The standing job that folds.
FOLDING = "monitoring.folding"


class MonitoringConfig(AppConfig):
    """Labels the app `monitoring`, and has its job done wherever a worker runs."""

    name = "ml_pipeline.apps.monitoring"
    label = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.jobs import handlers

        handlers.register(FOLDING, _fold, at_once=1, is_standing=True, has_work=_has_work)


# A process that only serves needs none of the libraries of this.
def _fold(lease: Lease) -> float | None:
    from ml_pipeline.apps.monitoring import folding

    return folding.work(lease)


def _has_work() -> bool:
    from ml_pipeline.apps.monitoring import folding

    return folding.has_work()
