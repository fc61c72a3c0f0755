"""The app's registration with Django: it carries the commands `demo`, `serve` and `runserver`."""

from django.apps import AppConfig, apps
from django.db.models.signals import pre_migrate


class ServerConfig(AppConfig):
    """Labels the app `server`."""

    name = "ml_pipeline.server"
    label = "server"

    def ready(self) -> None:
        """Lets a MySQL database know how text compares."""
        from ml_pipeline.server import mysql

        # Sent once an app before all migrations; one app is enough.
        pre_migrate.connect(mysql.prepare, sender=apps.get_app_config("events"), dispatch_uid="server.mysql")
