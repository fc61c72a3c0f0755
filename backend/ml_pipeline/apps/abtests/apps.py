"""The app's registration with Django."""

from django.apps import AppConfig


class ABTestsConfig(AppConfig):
    """Labels the app `abtests`."""

    name = "ml_pipeline.apps.abtests"
    label = "abtests"
    default_auto_field = "django.db.models.BigAutoField"
