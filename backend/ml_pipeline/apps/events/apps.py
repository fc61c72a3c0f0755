"""The app's registration with Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease

# Receivers that a worker looks after at once: half of what it does, so that other jobs have their turn.
AT_ONCE = 2


class EventsConfig(AppConfig):
    """Labels the app `events`, and hooks it in where jobs are done and metrics are asked for."""

    name = "ml_pipeline.apps.events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.events import figures, outbox
        from ml_pipeline.apps.jobs import handlers
        from ml_pipeline.metrics import collectors

        collectors.register("events", figures.metrics)
        handlers.register(outbox.DELIVERING, _deliver, at_once=AT_ONCE)
        handlers.register(outbox.SWEEPING, _sweep)


# A process that only serves needs nothing of what sends.
def _deliver(lease: Lease) -> float | None:
    from ml_pipeline.apps.events import deliveries

    return deliveries.work(lease)


def _sweep(lease: Lease) -> float | None:
    from ml_pipeline.apps.events import sweeps

    return sweeps.work(lease)
