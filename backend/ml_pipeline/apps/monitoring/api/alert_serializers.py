"""How alert rules and alerts look in JSON."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.endpoints.algorithms import MAX_NAME
from ml_pipeline.apps.monitoring.measures import MEASURES
from ml_pipeline.apps.monitoring.models import Alert, AlertRule, Condition
from ml_pipeline.rest.serializers import Number, OneOf, RefusesUnknownFields

# No endpoint has been asked so much.
MOST_ROWS = 10_000_000_000
_NAME_CHARACTERS = 63
_LIST = {"type": "array", "items": {"type": "object", "additionalProperties": True}}


class AlertRuleSerializer(serializers.ModelSerializer[AlertRule]):
    """A rule, and in `standing` what it saw last, algorithm by algorithm, or of the endpoint as a whole."""

    endpoint = serializers.CharField(source="parent_endpoint.name")
    label: Any = serializers.CharField()
    standing = serializers.SerializerMethodField()

    class Meta:
        model = AlertRule
        fields = (
            *(
                "id",
                "endpoint",
                "name",
                "measure",
                "feature",
                "label",
                "algorithm",
                "version",
                "condition",
                "threshold",
            ),
            *("recovers_at", "window_hours", "min_rows", "beyond_chance", "is_active", "evaluated_at", "standing"),
            *("created_by", "created_at"),
        )
        read_only_fields = fields

    @extend_schema_field(_LIST)
    def get_standing(self, rule: AlertRule) -> list[dict[str, Any]]:
        """What was seen."""
        found: list[dict[str, Any]] = json.loads(rule.standing)
        return found


class AlertRuleChangeSerializer(RefusesUnknownFields):
    """What may change of a rule. What is left out stays."""

    threshold = Number(required=False)
    recovers_at = Number(required=False, allow_null=True)
    window_hours = serializers.IntegerField(required=False, min_value=1, max_value=32_767)
    min_rows = serializers.IntegerField(required=False, min_value=0, max_value=MOST_ROWS)
    beyond_chance = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


class NewAlertRuleSerializer(AlertRuleChangeSerializer):
    """What a new rule shall be."""

    endpoint = serializers.CharField(max_length=_NAME_CHARACTERS)
    name = serializers.CharField(max_length=_NAME_CHARACTERS)
    measure = OneOf(choices=list(MEASURES))
    condition = OneOf(choices=Condition.choices)
    threshold = Number()
    feature = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=AlertRule.MAX_TEXT
    )
    label: Any = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=AlertRule.MAX_TEXT
    )
    algorithm = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NAME)
    version = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NAME)


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """An alert, with what its rule was when it was opened. Without an algorithm it is of the endpoint as a whole."""

    endpoint = serializers.CharField(source="parent_endpoint.name")
    algorithm = serializers.CharField(source="parent_mlalgorithm.name", default=None, allow_null=True)
    version = serializers.CharField(source="parent_mlalgorithm.version", default=None, allow_null=True)
    label: Any = serializers.CharField()
    is_open = serializers.SerializerMethodField()
    is_estimate = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = (
            *("id", "rule", "name", "endpoint", "parent_mlalgorithm", "algorithm", "version", "measure", "feature"),
            *("label", "condition", "threshold", "is_estimate", "value", "rows", "worst", "opened_at", "is_open"),
            *("closed_at", "outcome", "closing_value"),
        )
        read_only_fields = fields

    def get_is_open(self, alert: Alert) -> bool:
        """Whether it goes on."""
        return alert.closed_at is None

    def get_is_estimate(self, alert: Alert) -> bool:
        """Whether the figure is an estimate, on which nobody should act alone."""
        return alert.measure in MEASURES and MEASURES[alert.measure].is_estimate
