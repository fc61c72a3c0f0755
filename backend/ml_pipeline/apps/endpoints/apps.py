"""The app's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class EndpointsConfig(AppConfig):
    """Labels the app `endpoints`, and has events name endpoints."""

    name = "ml_pipeline.apps.endpoints"
    label = "endpoints"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.endpoints import endpoints
        from ml_pipeline.apps.events import hooks

        hooks.of_endpoints(endpoints.name_of)
