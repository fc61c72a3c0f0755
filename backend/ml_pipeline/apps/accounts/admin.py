"""API keys in Django's admin, to be read; their hashes are not shown. And what every read-only page shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from ml_pipeline.apps.accounts.models import ApiKey

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnly(ModelAdmin):
    """Rows to look at, newest first; none is added, changed or deleted here."""

    ordering = ("-pk",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys are made and revoked by `ml-pipeline keys`, which shows a new one once."""

    list_display = ("name", "prefix", "scopes", "created_at", "revoked_at")
    fields = ("name", "prefix", "scopes", "created_at", "revoked_at")
