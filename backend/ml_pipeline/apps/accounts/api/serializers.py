"""How teams, members, keys and events look in JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.accounts.access import SCOPES, Role
from ml_pipeline.apps.accounts.models import ApiKey, Membership, Team
from ml_pipeline.apps.events.models import Event
from ml_pipeline.rest.serializers import RefusesUnknownFields

# Fits the columns of every database.
MAX_QUOTA = 10**9


class TeamSerializer(RefusesUnknownFields, serializers.ModelSerializer[Team]):
    """A team. Its name is set when it is made."""

    name = serializers.CharField(max_length=63)
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    requests_per_s = serializers.IntegerField(min_value=1, max_value=MAX_QUOTA, required=False, allow_null=True)
    rows_per_day = serializers.IntegerField(min_value=1, max_value=MAX_QUOTA, required=False, allow_null=True)

    class Meta:
        model = Team
        fields = ("id", "name", "description", "requests_per_s", "rows_per_day", "created_at")
        read_only_fields = ("created_at",)


class TeamChangeSerializer(TeamSerializer):
    """What may change of a team."""

    name = serializers.CharField(read_only=True)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class MemberSerializer(RefusesUnknownFields, serializers.ModelSerializer[Membership]):
    """What a person is in a team."""

    username = serializers.CharField(source="user.username", read_only=True)
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ("id", "username", "role", "origin", "created_at")
        read_only_fields = ("origin", "created_at")


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key, without its secret. `team` null: in all teams; `endpoints` null: all of the team's."""

    team = serializers.CharField(source="team.name", read_only=True, allow_null=True)
    endpoints = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "name",
            "prefix",
            "scopes",
            "team",
            "endpoints",
            "requests_per_s",
            "rows_per_day",
            "owner",
            "created_by",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )
        read_only_fields = fields

    @extend_schema_field({"type": "array", "items": {"type": "integer"}, "nullable": True})
    def get_endpoints(self, key: ApiKey) -> list[int] | None:
        """Ids of the only endpoints that it is for."""
        ids: list[int] | None = key.endpoint_ids
        return ids


class KeyCreatedSerializer(KeySerializer):
    """A new key, with its secret, which is shown this once."""

    key = serializers.CharField(read_only=True)

    class Meta:
        model = ApiKey
        fields = (*KeySerializer.Meta.fields, "key")
        read_only_fields = fields


class KeyQuotasSerializer(RefusesUnknownFields):
    """What may change of a key: how much it may ask for; null for no limit. What is left out stays."""

    requests_per_s = serializers.IntegerField(min_value=1, max_value=MAX_QUOTA, required=False, allow_null=True)
    rows_per_day = serializers.IntegerField(min_value=1, max_value=MAX_QUOTA, required=False, allow_null=True)


class NewKeySerializer(KeyQuotasSerializer):
    """What a new key shall be."""

    name = serializers.CharField(max_length=100, trim_whitespace=False)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), max_length=len(SCOPES))
    team = serializers.CharField(required=False, max_length=63)
    endpoints: Any = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, allow_null=True, default=None
    )
    owner = serializers.CharField(required=False, allow_blank=True, default="", max_length=150)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class EventSerializer(serializers.ModelSerializer[Event]):
    """One change: who did what, when, from where. `details` say what changed."""

    class Meta:
        model = Event
        fields = ("id", "action", "subject", "actor", "address", "team_id", "endpoint_id", "details", "created_at")
        read_only_fields = fields
