"""Tests simulated from start to decision, their labels late and in bulk; and the pure functions on the same data."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from typing import Any

from logged import answered, folded, in_production, told

from ml_pipeline.apps.abtests import certificates, ends, verification
from ml_pipeline.apps.abtests.models import ABTest, Unit
from ml_pipeline.apps.abtests.terms import Terms
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.decisions import Outcome


def run(
    test: ABTest, accuracies: tuple[float, float], answers: int, draw: random.Random, label_rate: float = 1.0
) -> ABTest:
    """So many answers of arms that are right so often, their outcomes late and in bulk; folded whenever it happens."""
    waiting: list[tuple[MLRequest, str]] = []
    while answers and ABTest.objects.get(pk=test.pk).certificate is None:
        size = min(draw.randint(1, 60), answers)
        answers -= size
        for row in answered(test, ["yes"] * size):
            if draw.random() < label_rate:
                waiting.append((row, "yes" if draw.random() < accuracies[row.arm or 0] else "no"))
        draw.shuffle(waiting)
        late = draw.randint(0, len(waiting))
        for value in ("yes", "no"):
            told([row for row, outcome in waiting[late:] if outcome == value], value)
        waiting = waiting[:late]
        if draw.random() < 0.7:
            folded(test)
    return ends.stop(folded(test), actor="tests").test


def course_of(test: ABTest) -> tuple[Course, Any]:
    """The pure functions, told of the same observations one by one, until they decide; and their decision."""
    course, certificate = Course(Terms.from_json(test.metric, test.plan).plan), json.loads(test.certificate or "{}")
    for arm in Unit.objects.filter(test=test).order_by("id").values_list("arm", flat=True):
        course.assign(arm)
    elapsed_s = certificate["totals"]["elapsed_s"]
    observed = Unit.objects.filter(test=test, position__isnull=False).order_by("position")
    decision = course.decision(elapsed_s)
    for arm, score in observed.values_list("arm", "score"):
        assert decision.outcome is Outcome.UNDECIDED
        course.advance(arm, score)
        decision = course.decision(elapsed_s)
        if decision.outcome is Outcome.HARM and decision.arm is not None:
            course.withdraw(decision.arm)
            decision = course.decision(elapsed_s)
    return course, decision


def compare(test: ABTest) -> None:
    """Fails unless the test decided what the pure functions say of the same data, to the last bit."""
    certificate = json.loads(test.certificate or "")
    course, decision = course_of(test)
    elapsed_s = certificate["totals"]["elapsed_s"]
    if certificate["is_stopped"]:
        decision = course.decision(elapsed_s, is_stopped=True)
    # At no observation before the last had it been decided.
    assert decision.outcome in (Outcome.STAY, Outcome.PROMOTE)
    assert certificate["decision"] == json.loads(certificates.exact(asdict(decision)))
    assert certificate["totals"] == json.loads(certificates.exact(asdict(course.totals(elapsed_s))))
    endpoint = test.parent_endpoint.name
    assert in_production(endpoint) == ["2" if decision.outcome is Outcome.PROMOTE else "1"]
    report = verification.verified(test)
    assert report.is_verified, report.problems
