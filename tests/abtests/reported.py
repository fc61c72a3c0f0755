"""Tests in every state that a report tells of, each made of logged answers and outcomes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from logged import ACCURACY, PLAN, algorithms, folded, of_arm, told
from registered import SIGNATURE

from ml_pipeline.apps.abtests import ends, tests
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.abtests.tests import Entrant
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import Endpoint

ERRORS = {"name": "errors", "margin": 0.005, "alpha": 0.01, "objective_us": None}
SLOW = {"name": "slow", "margin": 0.01, "alpha": 0.01, "objective_us": 50_000}
REGRESSION = {**SIGNATURE, "task": "regression", "labels": []}
# Numbers that nothing reaches, of a test that only a person ends.
ENDLESS = {"alpha": 1e-6, "harm_alpha": 1e-6}


def begun(
    *weights: float, metric: dict[str, Any] | None = None, promotes: bool = True, title: str = "trees", **plan: Any
) -> ABTest:
    """A test of versions 1, 2, … with these weights (even ones, of two), whatever the metric needs."""
    weights = weights or (1.0, 1.0)
    metric = {**ACCURACY, **(metric or {})}
    is_regression = metric["name"] in ("absolute_error", "squared_error", "reward")
    changes = {"signature": REGRESSION} if is_regression else {}
    made = algorithms(*(str(number + 1) for number in range(len(weights))), **changes)
    entrants = [Entrant(*one) for one in zip(made, weights, strict=True)]
    return tests.create(title, entrants, metric, {**PLAN, **plan}, actor="ann", promotes=promotes)


def judged(test: ABTest, accuracies: Sequence[float], rounds: int, seed: int = 1) -> ABTest:
    """The test after so many rounds, in each of which every arm gave as many answers as its weight says, each right
    with its accuracy."""
    draw = random.Random(seed)
    for _ in range(rounds):
        for arm, accuracy in enumerate(accuracies):
            for row in of_arm(test, arm, "yes", round(test.plan["weights"][arm])):
                told([row], "yes" if draw.random() < accuracy else "no")
    return folded(test)


def without_labels() -> ABTest:
    """It runs, and no outcome is known."""
    test = begun()
    of_arm(test, 0, "yes", 7)
    of_arm(test, 1, "yes", 5)
    return folded(test)


def running() -> ABTest:
    """It runs, and the challenger is ahead."""
    return judged(begun(guardrails=[ERRORS, SLOW], min_labels=200, max_labels=5000), (0.7, 0.8), 60)


def promoted() -> ABTest:
    """The second is in production."""
    return judged(begun(guardrails=[ERRORS]), (0.5, 0.95), 60)


def proposed() -> ABTest:
    """The second waits for a person."""
    return judged(begun(promotes=False), (0.2, 1.0), 30)


def at_maximum() -> ABTest:
    """All labels of the plan came."""
    return judged(begun(max_labels=80), (0.7, 0.75), 45)


def stopped() -> ABTest:
    """A person ended it."""
    test = judged(begun(max_labels=5_000), (0.7, 0.8), 40)
    return ends.stop(test, actor="bob", reason="budget spent").test


def stopped_without_labels() -> ABTest:
    """A person ended it before any outcome."""
    return ends.stop(begun(), actor="bob").test


def harmful() -> ABTest:
    """The only challenger was withdrawn."""
    return judged(begun(), (1.0, 0.1), 40)


def rolled_back() -> ABTest:
    """The endpoint was rolled back while it ran."""
    test = judged(begun(), (0.7, 0.7), 20)
    statuses.roll_back(Endpoint.objects.get(name="demo"), actor="bob", reason="odd")
    test.refresh_from_db()
    return test


def of_many() -> ABTest:
    """Three arms of unequal shares, one of them withdrawn, and it goes on."""
    test = begun(2.0, 1.0, 1.0, guardrails=[ERRORS])
    return judged(test, (0.8, 0.85, 0.05), 60)


def spoilt() -> ABTest:
    """Nearly all labels are of one arm."""
    test = begun()
    told(of_arm(test, 0, "yes", 5), "yes")
    told(of_arm(test, 1, "yes", 60), "yes")
    return folded(test)


def of_errors() -> ABTest:
    """A regression, judged by how far answers are off: the second by half as much."""
    return regressed(begun(metric={"name": "absolute_error", "cap": 40.0}, margin=0.01))


def of_chances() -> ABTest:
    """A classification, judged by its probabilities, of which the champion answers four in five."""
    return judged(begun(4.0, 1.0, metric={"name": "brier"}), (0.7, 0.7), 45)


def of_rewards() -> ABTest:
    """A regression, judged by rewards."""
    return regressed(begun(metric={"name": "reward", "low": -50.0, "high": 50.0}, **ENDLESS))


def regressed(test: ABTest, rounds: int = 60) -> ABTest:
    """The test after so many rounds of values."""
    draw = random.Random(3)
    for _ in range(rounds):
        for arm in (0, 1):
            (row,) = of_arm(test, arm, "", 1)
            row.full_response = json.dumps({"label": None, "probability": None, "value": 100.0})
            row.save()
            off = draw.gauss(0, 20 / (1 + arm))
            told([row], str(off if test.metric["name"] == "reward" else 100.0 + off))
    return folded(test)


def corrected() -> ABTest:
    """An outcome changed after it was counted."""
    test = begun()
    rows = of_arm(test, 0, "yes", 10) + of_arm(test, 1, "yes", 10)
    told(rows, "yes")
    folded(test)
    told(rows[:1], "no")
    return folded(test)


STATES: dict[str, Callable[[], ABTest]] = {
    one.__name__: one
    for one in (
        without_labels,
        running,
        promoted,
        proposed,
        at_maximum,
        stopped,
        stopped_without_labels,
        harmful,
        rolled_back,
        of_many,
        spoilt,
        of_errors,
        of_chances,
        of_rewards,
        corrected,
    )
}
