"""The app's registration with Django."""

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Labels the app `batches`."""

    name = "ml_pipeline.apps.batches"
    label = "batches"
    default_auto_field = "django.db.models.BigAutoField"
