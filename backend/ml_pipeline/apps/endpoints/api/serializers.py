"""How endpoints, algorithms, tags, aliases and statuses look in JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.accounts.authentication import grant_of
from ml_pipeline.apps.endpoints import input_rules
from ml_pipeline.apps.endpoints.models import (
    AlgorithmTag,
    Endpoint,
    EndpointAlias,
    MLAlgorithm,
    MLAlgorithmStatus,
    Status,
)
from ml_pipeline.rest.serializers import RefusesUnknownFields


class OwnAlgorithm(serializers.PrimaryKeyRelatedField[MLAlgorithm]):
    """An algorithm that exists for whoever asks."""

    def get_queryset(self) -> Any:
        """Those that may be named."""
        request = self.context.get("request")
        # Described for OpenAPI, nobody asks.
        return MLAlgorithm.objects.all() if request is None else MLAlgorithm.objects.seen_by(grant_of(request))

    def to_internal_value(self, data: Any) -> MLAlgorithm:
        """The algorithm. Raises ValidationError."""
        if isinstance(data, float):
            # 1.5 is nobody's id, and would be taken for 1.
            self.fail("incorrect_type", data_type="float")
        found: MLAlgorithm = super().to_internal_value(data)
        return found


class EndpointSerializer(RefusesUnknownFields, serializers.ModelSerializer[Endpoint]):
    """An endpoint. Its name and its team are set when it is created."""

    name = serializers.CharField(max_length=63)
    team = serializers.CharField(source="team.name", max_length=63, required=False)

    class Meta:
        model = Endpoint
        fields = ("id", "name", "team", "owner", "description", "settings", "created_at")
        read_only_fields = ("settings", "created_at")


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "redact": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": input_rules.MAX_FIELD_NAME},
                "maxItems": input_rules.MAX_FIELDS,
                "description": "Fields whose values the log does not keep.",
            },
            "store_inputs": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "The fraction of requests whose inputs the log keeps.",
            },
            "slices": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": input_rules.MAX_FIELD_NAME},
                "maxItems": input_rules.MAX_SLICES,
                "description": "Features by whose values live performance is shown.",
            },
        },
        "additionalProperties": False,
    }
)
class _Settings(serializers.JSONField):
    """An endpoint's settings; `input_rules` judges them."""


class EndpointChangeSerializer(EndpointSerializer):
    """What may change of an endpoint: owner, description and settings."""

    name = serializers.CharField(read_only=True)
    team = serializers.CharField(source="team.name", read_only=True)
    settings = _Settings(required=False)

    class Meta(EndpointSerializer.Meta):
        read_only_fields = ("name", "created_at")


class StatusSerializer(RefusesUnknownFields, serializers.ModelSerializer[MLAlgorithmStatus]):
    """One step in an algorithm's history; `active` for the one in force."""

    parent_mlalgorithm = OwnAlgorithm(queryset=MLAlgorithm.objects.all())
    active = serializers.BooleanField(read_only=True)
    status = serializers.ChoiceField(choices=Status.choices)
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)

    class Meta:
        model = MLAlgorithmStatus
        fields = ("id", "parent_mlalgorithm", "status", "active", "reason", "created_by", "created_at")
        read_only_fields = ("created_by", "created_at")


class AlgorithmSerializer(serializers.ModelSerializer[MLAlgorithm]):
    """An algorithm with its present status, its tags, and the aliases that name it."""

    endpoint = serializers.CharField(source="parent_endpoint.name", read_only=True)
    current_status = serializers.CharField(source="active_status.status", read_only=True)
    tags = serializers.SerializerMethodField()
    aliases = serializers.SerializerMethodField()

    class Meta:
        model = MLAlgorithm
        fields = (
            "id",
            "parent_endpoint",
            "endpoint",
            "name",
            "version",
            "current_status",
            "aliases",
            "tags",
            "description",
            "owner",
            "runtime",
            "runtime_reason",
            "is_isolated",
            "parity",
            "timings_us",
            "serves",
            "memory_bytes",
            "artifact_digest",
            "signature",
            "metrics",
            "code",
            "created_by",
            "created_at",
        )
        read_only_fields = fields

    def get_tags(self, algorithm: MLAlgorithm) -> dict[str, str]:
        """Name to value, by name."""
        return dict(sorted((tag.name, tag.value) for tag in algorithm.tags.all()))

    def get_aliases(self, algorithm: MLAlgorithm) -> list[str]:
        """The names, in order."""
        return sorted(alias.name for alias in algorithm.aliases.all())


class TagSerializer(RefusesUnknownFields, serializers.ModelSerializer[AlgorithmTag]):
    """A tag. What it may say is the noun module's to judge."""

    value = serializers.CharField(allow_blank=True, trim_whitespace=False)

    class Meta:
        model = AlgorithmTag
        fields = ("name", "value")
        read_only_fields = ("name",)


class AliasSerializer(RefusesUnknownFields, serializers.ModelSerializer[EndpointAlias]):
    """An alias with the algorithm that it names, and who named it, when."""

    parent_mlalgorithm = OwnAlgorithm(queryset=MLAlgorithm.objects.all())
    algorithm = serializers.CharField(source="parent_mlalgorithm.name", read_only=True)
    version = serializers.CharField(source="parent_mlalgorithm.version", read_only=True)

    class Meta:
        model = EndpointAlias
        fields = ("id", "name", "parent_mlalgorithm", "algorithm", "version", "created_by", "created_at")
        read_only_fields = ("name", "created_by", "created_at")


class AlgorithmDetailSerializer(AlgorithmSerializer):
    """An algorithm with the frozen summary of its reference rows; null where none came, and then drift has no basis."""

    class Meta:
        model = MLAlgorithm
        fields = (*AlgorithmSerializer.Meta.fields, "reference_profile")
        read_only_fields = fields


class HistoryStepSerializer(serializers.ModelSerializer[MLAlgorithmStatus]):
    """One step in an endpoint's history, with the algorithm it concerns."""

    algorithm = serializers.CharField(source="parent_mlalgorithm.name")
    version = serializers.CharField(source="parent_mlalgorithm.version")
    active = serializers.BooleanField()
    abtest = serializers.IntegerField(source="test_id", allow_null=True)

    class Meta:
        model = MLAlgorithmStatus
        fields = (
            "id",
            "parent_mlalgorithm",
            "algorithm",
            "version",
            "status",
            "active",
            "abtest",
            "arm",
            "reason",
            "created_by",
            "created_at",
        )
        read_only_fields = fields


class ProductionAtSerializer(serializers.Serializer[Any]):
    """What was in production on an endpoint at a time; null where nothing was."""

    at = serializers.DateTimeField()
    endpoint = serializers.CharField()
    production = HistoryStepSerializer(allow_null=True)


class ReasonSerializer(RefusesUnknownFields):
    """The body of a rollback or an archiving; it may be left out."""

    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
