"""The app's registration with Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Labels the app `jobs`."""

    name = "ml_pipeline.apps.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
