"""The app's registration with Django."""

from django.apps import AppConfig


class EndpointsConfig(AppConfig):
    """Labels the app `endpoints`."""

    name = "ml_pipeline.apps.endpoints"
    label = "endpoints"
    default_auto_field = "django.db.models.BigAutoField"
