"""The app's registration with Django."""

from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    """Labels the app `predictions`."""

    name = "ml_pipeline.apps.predictions"
    label = "predictions"
    default_auto_field = "django.db.models.BigAutoField"
