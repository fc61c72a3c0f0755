"""How live performance and drift look in JSON. What is in their objects docs/live-performance.md says."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.monitoring.models import DriftTest

_OBJECT = {"type": "object", "additionalProperties": True}


class _About(serializers.Serializer[Any]):
    """Some hours of an endpoint."""

    endpoint = serializers.CharField()
    to = serializers.DateTimeField()
    folded = serializers.DictField()

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name in Python."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class MetricsSerializer(_About):
    """Live performance; `series` where the query says by what."""

    algorithms: serializers.ListField = serializers.ListField(child=serializers.DictField())
    series: serializers.ListField = serializers.ListField(child=serializers.DictField(), required=False)


class RangeDriftSerializer(_About):
    """A test of a range for drift."""

    algorithms: serializers.ListField = serializers.ListField(child=serializers.DictField())


class DriftTestSerializer(serializers.ModelSerializer[DriftTest]):
    """A recorded test of one window."""

    algorithm = serializers.CharField(source="parent_mlalgorithm.name")
    version = serializers.CharField(source="parent_mlalgorithm.version")
    to = serializers.DateTimeField(source="to_at")
    result = serializers.SerializerMethodField()

    class Meta:
        model = DriftTest
        fields = (
            "id",
            "parent_mlalgorithm",
            "algorithm",
            "version",
            "to",
            "rows",
            "tested",
            "is_alarm",
            "result",
            "created_at",
        )
        read_only_fields = fields

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name in Python."""
        return {**super().get_fields(), "from": serializers.DateTimeField(source="from_at")}

    @extend_schema_field(_OBJECT)
    def get_result(self, one: DriftTest) -> dict[str, Any]:
        """What was found."""
        found: dict[str, Any] = json.loads(one.result)
        return found


class DriftSerializer(serializers.Serializer[Any]):
    """What was tested, newest first, and how far the next windows are."""

    endpoint = serializers.CharField()
    folded = serializers.DictField()
    algorithms: serializers.ListField = serializers.ListField(child=serializers.DictField())
    tests = DriftTestSerializer(many=True)
