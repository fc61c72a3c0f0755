"""The app's registration with Django."""

from django.apps import AppConfig

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
        from ml_pipeline.apps.jobs.handlers import later
        from ml_pipeline.metrics import collectors

        collectors.register("events", figures.metrics)
        # A process that only serves needs nothing of what sends.
        handlers.register(outbox.DELIVERING, later(f"{self.name}.deliveries.work"), at_once=AT_ONCE)
        handlers.register(outbox.SWEEPING, later(f"{self.name}.sweeps.work"))
