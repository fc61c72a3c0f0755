"""How logged requests, and feedback on them, look in JSON."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.rest.serializers import RefusesUnknownFields


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}]})
class _Outcome(serializers.JSONField):
    """A label or a number."""


class RequestSerializer(serializers.ModelSerializer[MLRequest]):
    """A logged prediction. The view sets `feedback`: the first true outcome that came for it, or None."""

    input_data = serializers.SerializerMethodField()
    full_response = serializers.SerializerMethodField()
    feedback = _Outcome(read_only=True, allow_null=True)
    abtest = serializers.IntegerField(source="test_id", read_only=True, allow_null=True)
    batch = serializers.IntegerField(source="job_id", read_only=True, allow_null=True)

    class Meta:
        model = MLRequest
        fields = (
            "id",
            "parent_mlalgorithm",
            "outcome",
            "input_data",
            "full_response",
            "response",
            "probability",
            "feedback",
            "latency_us",
            "unit",
            "abtest",
            "arm",
            "batch",
            "revision",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": True, "nullable": True})
    def get_input_data(self, request: MLRequest) -> Any:
        """The row as it was validated: "[redacted]" for a value that the endpoint does not keep; null where it keeps
        no input of this request.
        """
        return json.loads(request.input_data)

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_full_response(self, request: MLRequest) -> Any:
        """The reply as it was sent."""
        return json.loads(request.full_response)


class FeedbackSerializer(RefusesUnknownFields):
    """The true outcome of one request: one of the algorithm's labels, or a number for a regression."""

    feedback = _Outcome()


class FeedbackReplySerializer(serializers.Serializer[Any]):
    """What became of it: `accepted`, or `unchanged` when known; `feedback` is the outcome that counts, the first."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=("accepted", "unchanged"))
    feedback = _Outcome()


class BulkFeedbackItemSerializer(RefusesUnknownFields):
    """One line of a bulk."""

    request_id = serializers.UUIDField()
    feedback = _Outcome()


class BulkFeedbackReplySerializer(serializers.Serializer[Any]):
    """Counts of what was added and what stood already; the ids that are unknown; the values that are no outcome."""

    accepted = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    unknown = serializers.ListField(child=serializers.CharField())
    invalid = serializers.ListField(child=serializers.DictField())
