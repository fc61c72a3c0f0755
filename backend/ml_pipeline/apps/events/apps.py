"""The app's registration with Django."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Labels the app `events`."""

    name = "ml_pipeline.apps.events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tells whoever asks for the metrics of them."""
        from ml_pipeline.apps.events import figures
        from ml_pipeline.metrics import collectors

        collectors.register("events", figures.metrics)
