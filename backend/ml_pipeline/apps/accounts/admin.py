"""Teams and API keys in Django's admin, to be read; hashes are not shown. And what every read-only page shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ml_pipeline.apps.accounts import authentication
from ml_pipeline.apps.accounts.models import ApiKey, Membership, Team
from ml_pipeline.errors import Unauthenticated

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnly(ModelAdmin):
    """Rows to look at, newest first; none is added, changed or deleted here.

    A member of the staff sees those of the teams in which he has the scope that the page needs.
    """

    ordering = ("-pk",)
    show_full_result_count = False
    scope = "read"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that exist for whoever asks."""
        rows: Any = super().get_queryset(request)
        return rows.seen_by(authentication.of_person(request.user))  # type: ignore[no-any-return]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether he has the scope anywhere; which rows he sees is another matter."""
        try:
            return authentication.of_person(request.user).allows(self.scope)
        except Unauthenticated:
            return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for its pages."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(Team)
class TeamAdmin(ReadOnly):
    """Teams."""

    list_display = ("name", "description", "created_at")


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """Who is what in which team."""

    list_display = ("team", "user", "role", "created_at")
    list_select_related = ("team", "user")
    scope = "admin"


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys. The API makes and revokes them, and shows a new one once."""

    list_display = ("name", "prefix", "team", "scopes", "owner", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("team",)
    exclude = ("hash",)
    scope = "admin"
