"""The app's registration with Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Labels the app `jobs`."""

    name = "ml_pipeline.apps.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tells whoever asks for the metrics of them."""
        from ml_pipeline.apps.jobs import figures
        from ml_pipeline.metrics import collectors

        collectors.register("jobs", figures.metrics)
