"""The app's registration with Django."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Labels the app `events`."""

    name = "ml_pipeline.apps.events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"
