"""The app's registration with Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Labels the app `accounts`."""

    name = "ml_pipeline.apps.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
