"""The app's registration with Django."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Labels the app `accounts`, and has events name teams."""

    name = "ml_pipeline.apps.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.accounts import teams
        from ml_pipeline.apps.events import hooks

        hooks.of_teams(teams.name_of)
