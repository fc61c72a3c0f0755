"""Teams, keys, audit and people in Django's admin; all but the people to be read. And what every such page shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ml_pipeline.apps.accounts import authentication, receivers
from ml_pipeline.apps.accounts.api import events
from ml_pipeline.apps.accounts.models import ApiKey, Membership, Team
from ml_pipeline.apps.events import audit
from ml_pipeline.apps.events.models import Delivery, Event, Receiver
from ml_pipeline.errors import Unauthenticated

# Roles say what people may do, not Django's groups.
admin.site.unregister((Group, User))

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    PeopleAdmin = UserAdmin[User]
else:
    ModelAdmin = admin.ModelAdmin
    PeopleAdmin = UserAdmin


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
        return rows.seen_by(authentication.of_person(request.user), self.scope)  # type: ignore[no-any-return]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Never: no address asks for rows by a column that the page does not show, such as a key's hash."""
        return False

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

    list_display = ("team", "user", "role", "origin", "created_at")
    list_select_related = ("team", "user")
    scope = "admin"


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys. The API makes and revokes them, and shows a new one once."""

    list_display = ("name", "prefix", "team", "scopes", "owner", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("team",)
    exclude = ("hash",)
    scope = "admin"


@admin.register(Event)
class EventAdmin(ReadOnly):
    """Who changed what, when, from where."""

    list_display = ("created_at", "actor", "address", "action", "subject", "team_id")
    scope = "admin"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """What is for whoever asks."""
        grant = authentication.of_person(request.user)
        return events.seen_by(Event.objects.order_by(*self.ordering), grant)


@admin.register(Receiver)
class ReceiverAdmin(ReadOnly):
    """Who is told of which events. The API makes and changes them, and shows a new secret once."""

    list_display = (
        "id",
        "kind",
        "events",
        "team_id",
        "endpoint_id",
        "is_active",
        "failures",
        "created_by",
        "created_at",
    )
    exclude = ("salt", "previous_salt")
    scope = "admin"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receiver]:
        """What is for whoever asks."""
        grant = authentication.of_person(request.user)
        return receivers.seen_by(Receiver.objects.order_by(*self.ordering), grant, self.scope)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """What is on its way to them."""

    list_display = ("created_at", "action", "receiver_id", "state", "attempts", "last_status", "last_error", "ended_at")
    scope = "admin"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """What is for whoever asks."""
        theirs = receivers.seen_by(Receiver.objects.all(), authentication.of_person(request.user), self.scope)
        return Delivery.objects.order_by(*self.ordering).filter(receiver_id__in=theirs.values("pk"))


@admin.register(User)
class PersonAdmin(PeopleAdmin):
    """People: made and changed by superusers. Each change is in the audit."""

    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("About", {"fields": ("first_name", "last_name", "email", "last_login", "date_joined")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
    )

    def log_addition(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Django's own entry, and an event."""
        _record("person.created", request, obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Django's own entry, and an event; a new password is one too."""
        _record("person.changed", request, obj, message)
        return super().log_change(request, obj, message)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: the history names them. Whoever is gone is made inactive."""
        return False


def _record(action: str, request: HttpRequest, person: User, message: Any) -> None:
    actor = authentication.of_person(request.user).actor
    with transaction.atomic():
        audit.record(action, person.get_username(), actor=actor, changes=message)
