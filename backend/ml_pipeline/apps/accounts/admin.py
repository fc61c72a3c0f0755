"""API keys in Django's admin, to be read; their hashes are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from ml_pipeline.apps.accounts.models import ApiKey

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ApiKey]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are made and revoked by `ml-pipeline keys`, which shows a new one once."""

    list_display = ("name", "prefix", "scopes", "created_at", "revoked_at")
    fields = ("name", "prefix", "scopes", "created_at", "revoked_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Never."""
        return False
