"""The app's registration with Django: it carries the commands `demo`, `serve` and `runserver`."""

from django.apps import AppConfig


class ServerConfig(AppConfig):
    """Labels the app `server`."""

    name = "ml_pipeline.server"
    label = "server"

    def ready(self) -> None:
        """Lets OpenAPI know how keys are sent."""
        from ml_pipeline.server import schema  # noqa: F401
