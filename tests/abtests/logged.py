"""Tests of two algorithms for in-process tests, and what the data plane writes of their answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat
from django.db import transaction
from django.utils import timezone
from registered import OPERATOR, algorithm

from ml_pipeline.apps.abtests import counting, standings, tests
from ml_pipeline.apps.abtests.assignment import Assignment
from ml_pipeline.apps.abtests.models import ABTest, UncountedAnswers
from ml_pipeline.apps.abtests.tests import Entrant
from ml_pipeline.apps.endpoints import feedback, statuses
from ml_pipeline.apps.endpoints.feedback import Item
from ml_pipeline.apps.endpoints.models import MLAlgorithm, MLAlgorithmStatus, MLRequest

ACCURACY: dict[str, Any] = {"name": "accuracy", "cap": None, "low": None, "high": None}
PLAN: dict[str, Any] = {
    "alpha": 0.05,
    "harm_alpha": 0.01,
    "margin": 0.0,
    "min_labels": 0,
    "max_labels": None,
    "min_time_s": 0.0,
    "max_time_s": None,
    "guardrails": [],
}


def algorithms(*versions: str, **changes: Any) -> list[MLAlgorithm]:
    """The algorithms of these versions; the first is in production."""
    made = [algorithm(version, **changes) for version in versions]
    statuses.promote(made[0], actor="ann")
    return made


def started(*versions: str, promotes: bool = True, **plan: Any) -> ABTest:
    """A test of these versions, all even, the first the champion."""
    entrants = [Entrant(one) for one in algorithms(*(versions or ("1", "2")))]
    return tests.create("tests", entrants, ACCURACY, {**PLAN, **plan}, actor="ann", promotes=promotes)


def answered(test: ABTest, labels: Iterable[str], **changes: Any) -> list[MLRequest]:
    """A request for each of these labels, that an arm answered with it; as the data plane logs them."""
    assignment = Assignment(test.salt, test.plan["weights"])
    arms = {arm.number: arm.parent_mlalgorithm_id for arm in test.arms.all()}
    rows, answers = [], []
    for label in labels:
        row = MLRequest(
            **{
                "id": uuid_utils.compat.uuid7(),
                "test_id": test.pk,
                "outcome": "ok",
                "revision": 1,
                "batch_id": 0,
                "position": 0,
                "input_data": "{}",
                "full_response": json.dumps({"label": label, "probability": 0.9}),
                "response": label,
                "probability": 0.9,
                "latency_us": 100,
                "created_at": timezone.now(),
                **changes,
            }
        )
        row.arm, digest = assignment.arm(row.unit or str(row.id))
        row.parent_mlalgorithm_id = changes.get("parent_mlalgorithm_id", arms[row.arm])
        rows.append(row)
        is_failed = row.parent_mlalgorithm_id != arms[row.arm] or row.outcome != "ok"
        answers.append([digest, row.arm, int(is_failed), row.latency_us])
    with transaction.atomic():
        MLRequest.objects.bulk_create(rows)
        if answers:
            UncountedAnswers.objects.create(test_id=test.pk, answers=json.dumps(answers))
    return rows


def told(rows: Iterable[MLRequest], value: str) -> None:
    """The true outcome of these requests is `value`."""
    feedback.record_all([Item(row.id, value) for row in rows], OPERATOR)


def of_arm(test: ABTest, arm: int, label: str, count: int) -> list[MLRequest]:
    """So many answers that fell to `arm`, all with this label; none of the other arms are logged."""
    assignment, made = Assignment(test.salt, test.plan["weights"]), []
    while len(made) < count:
        unit = str(uuid4())
        if assignment.arm(unit)[0] == arm:
            made += answered(test, [label], unit=unit)
    return made


def folded(test: ABTest) -> ABTest:
    """The test, after all that there is was counted."""
    while True:
        with transaction.atomic():
            standing = standings.locked(test.pk)
            if not counting.fold(standing):
                return ABTest.objects.get(pk=test.pk)


def in_production(endpoint: str = "demo") -> list[str]:
    """The versions that are in production: never more than one."""
    steps = MLAlgorithmStatus.objects.filter(production_of__name=endpoint)
    return [step.parent_mlalgorithm.version for step in steps.select_related("parent_mlalgorithm")]


def known(request_id: UUID) -> bool:
    """Whether it is in the log."""
    return MLRequest.objects.filter(pk=request_id).exists()
