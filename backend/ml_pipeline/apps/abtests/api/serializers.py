"""How A/B tests look in JSON: what starts one, its record, and how it stands."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.abtests import certificates, reports, selftests, terms, tests
from ml_pipeline.apps.abtests.models import ABTest, Arm
from ml_pipeline.apps.abtests.tests import Entrant
from ml_pipeline.apps.endpoints.api.serializers import OwnAlgorithm
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.errors import Complaint, InvalidInput
from ml_pipeline.rest.serializers import Number, RefusesUnknownFields
from ml_pipeline.stats import metrics

# The largest numbers of labels and of seconds, some three hundred years, that a plan may have.
MOST = 10_000_000_000
_OBJECT = {"type": "object", "additionalProperties": True}


class EntrantSerializer(RefusesUnknownFields):
    """An algorithm that is to be an arm, and its share of the units, in proportion to the others'."""

    parent_mlalgorithm = OwnAlgorithm(queryset=MLAlgorithm.objects.all())
    weight = Number(default=1.0, min_value=0.001, max_value=1_000)


class GuardrailSerializer(RefusesUnknownFields):
    """A share of bad answers that may exceed the champion's by `margin`: of failed ones, or of those slower than
    `objective_us`."""

    name = serializers.ChoiceField(choices=(terms.ERRORS, terms.SLOW))
    margin = Number(default=0.005, min_value=0, max_value=0.999)
    alpha = Number(default=0.01, min_value=1e-6, max_value=0.5)
    objective_us = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=MOST)


def _errors_only() -> list[dict[str, Any]]:
    return [{"name": terms.ERRORS, "margin": 0.005, "alpha": 0.01, "objective_us": None}]


class NewTestSerializer(RefusesUnknownFields):
    """What starts a test: either `arms`, the champion first, or two algorithms."""

    title = serializers.CharField(max_length=255)
    parent_mlalgorithm_1 = OwnAlgorithm(queryset=MLAlgorithm.objects.all(), required=False)
    parent_mlalgorithm_2 = OwnAlgorithm(queryset=MLAlgorithm.objects.all(), required=False)
    arms: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=EntrantSerializer(), required=False, max_length=tests.MOST_ARMS
    )
    metric = serializers.ChoiceField(choices=metrics.NAMES, default="accuracy")
    cap = Number(default=None, allow_null=True)
    low = Number(default=None, allow_null=True)
    high = Number(default=None, allow_null=True)
    alpha = Number(default=0.05, min_value=1e-6, max_value=0.5)
    harm_alpha = Number(default=0.01, min_value=1e-6, max_value=0.5)
    margin = Number(default=0.0, min_value=-0.999, max_value=0.999)
    min_labels = serializers.IntegerField(default=0, min_value=0, max_value=MOST)
    max_labels = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=MOST)
    min_time_s = Number(default=0.0, min_value=0, max_value=MOST)
    max_time_s = Number(default=None, allow_null=True, min_value=0, max_value=MOST)
    guardrails: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=GuardrailSerializer(), default=_errors_only, max_length=2
    )
    promotes = serializers.BooleanField(default=True)

    def entrants(self) -> list[Entrant]:
        """The arms, the champion first. Raises InvalidInput."""
        given = self.validated_data
        pair = [given.get("parent_mlalgorithm_1"), given.get("parent_mlalgorithm_2")]
        if ("arms" in given) == any(pair):
            expected = "either arms, or parent_mlalgorithm_1 and parent_mlalgorithm_2"
            raise InvalidInput([Complaint(None, "arms", expected, "both" if any(pair) else "neither")])
        if "arms" in given:
            return [Entrant(one["parent_mlalgorithm"], one["weight"]) for one in given["arms"]]
        for name, one in zip(("parent_mlalgorithm_1", "parent_mlalgorithm_2"), pair, strict=True):
            if one is None:
                raise InvalidInput([Complaint(None, name, "an algorithm's id", "nothing")])
        return tests.of_pair(*[one for one in pair if one is not None])

    def metric_json(self) -> dict[str, Any]:
        """The metric, as `Terms` has it in JSON."""
        given = self.validated_data
        return {"name": given["metric"], **{name: given[name] for name in ("cap", "low", "high")}}

    def plan_json(self) -> dict[str, Any]:
        """The plan, as `Terms` has it in JSON, but for the weights."""
        given = self.validated_data
        guardrails = [dict(one) for one in given["guardrails"]]
        return {**{name: given[name] for name in terms.NUMBERS}, "guardrails": guardrails}


class ArmSerializer(serializers.ModelSerializer[Arm]):
    """An arm; `withdrawal` is null, or says when and why it left the test."""

    algorithm = serializers.CharField(source="parent_mlalgorithm.name")
    version = serializers.CharField(source="parent_mlalgorithm.version")
    withdrawal = serializers.DictField(allow_null=True)

    class Meta:
        model = Arm
        fields = ("number", "parent_mlalgorithm", "algorithm", "version", "weight", "withdrawal")
        read_only_fields = fields


class TestSerializer(serializers.ModelSerializer[ABTest]):
    """A test: what it was started with, how far it is, and how it ended."""

    __test__ = False

    endpoint = serializers.CharField(source="parent_endpoint.name")
    parent_mlalgorithm_1 = serializers.SerializerMethodField()
    parent_mlalgorithm_2 = serializers.SerializerMethodField()
    arms = ArmSerializer(many=True)
    metric = serializers.DictField()
    plan = serializers.DictField()
    labels = serializers.IntegerField(source="counted")

    class Meta:
        model = ABTest
        fields: tuple[str, ...] = (
            "id",
            "title",
            "parent_endpoint",
            "endpoint",
            "state",
            "result",
            "summary",
            "parent_mlalgorithm_1",
            "parent_mlalgorithm_2",
            "arms",
            "metric",
            "plan",
            "promotes",
            "units",
            "labels",
            "is_corrected",
            "created_by",
            "created_at",
            "ended_at",
        )
        read_only_fields = fields

    def get_parent_mlalgorithm_1(self, test: ABTest) -> int:
        """The champion."""
        return test.arms.all()[0].parent_mlalgorithm_id

    def get_parent_mlalgorithm_2(self, test: ABTest) -> int:
        """The first challenger."""
        return test.arms.all()[1].parent_mlalgorithm_id


class TestDetailSerializer(TestSerializer):
    """A test with how it stands, the paths of its evidence and, once it is over, the certificate."""

    standing = serializers.SerializerMethodField()
    path = serializers.SerializerMethodField()
    certificate = serializers.SerializerMethodField()

    class Meta(TestSerializer.Meta):
        fields: tuple[str, ...] = (*TestSerializer.Meta.fields, "standing", "path", "certificate")
        read_only_fields = fields

    @extend_schema_field(_OBJECT)
    def get_standing(self, test: ABTest) -> dict[str, Any]:
        """How it stands (`reports.standing`)."""
        return reports.standing(test)

    @extend_schema_field({"type": "array", "items": _OBJECT})
    def get_path(self, test: ABTest) -> list[dict[str, Any]]:
        """Points of the paths, oldest first."""
        return certificates.path(test)

    @extend_schema_field({**_OBJECT, "nullable": True})
    def get_certificate(self, test: ABTest) -> Any:
        """The decision with all that it rests on; null while it runs."""
        return None if test.certificate is None else json.loads(test.certificate)


class VerificationSerializer(serializers.Serializer[Any]):
    """What the verification of a certificate found (`verification.Report`)."""

    is_verified = serializers.BooleanField()
    requests = serializers.IntegerField()
    units = serializers.IntegerField()
    observations = serializers.IntegerField()
    uncounted = serializers.IntegerField()
    problems = serializers.ListField(child=serializers.CharField())
    more_problems = serializers.IntegerField()
    if_corrected = serializers.DictField(allow_null=True)


class SelfTestQuestionSerializer(RefusesUnknownFields):
    """How often the labels of a test are dealt out anew, and the seed of chance."""

    replays = serializers.IntegerField(default=200, min_value=1, max_value=selftests.MOST_REPLAYED)
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)


class SelfTestSerializer(serializers.Serializer[Any]):
    """A self-test (`selftests.to_json`); `rate`, `low` and `high` are null until it is done."""

    # One of `selftests.Progress`; two lists of states would be named by chance in the OpenAPI document.
    state = serializers.CharField()
    replays = serializers.IntegerField()
    done = serializers.IntegerField()
    promoted = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    alpha = serializers.FloatField()
    labels = serializers.IntegerField()
    counted = serializers.IntegerField()
    withdrawn = serializers.ListField(child=serializers.IntegerField())
    seed = serializers.IntegerField()


class PlanQuestionSerializer(RefusesUnknownFields):
    """What is assumed of a test that is to be planned."""

    champion = Number(min_value=0.001, max_value=0.999)
    challenger = Number(min_value=0.001, max_value=0.999)
    share = Number(default=0.5, min_value=0.001, max_value=0.999)
    alpha = Number(default=0.05, min_value=1e-6, max_value=0.5)
    requests_per_s = Number(default=1.0, min_value=0, max_value=1_000_000)
    label_rate = Number(default=1.0, min_value=0, max_value=1)


class PlanSerializer(serializers.Serializer[Any]):
    """What such a test takes (`outlook.Planned`)."""

    mean_labels = serializers.IntegerField()
    most_labels = serializers.IntegerField()
    mean_seconds = serializers.FloatField(allow_null=True)
    most_seconds = serializers.FloatField(allow_null=True)
    fixed_labels = serializers.IntegerField()
