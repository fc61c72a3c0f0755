"""In a test by rewards, feedback is a number whatever the algorithms answer, and decides; elsewhere it is a label."""

from __future__ import annotations

import pytest
from logged import PLAN, algorithms, folded, in_production, of_arm, told
from registered import OPERATOR

from ml_pipeline.apps.abtests import ends, tests, verification
from ml_pipeline.apps.abtests.models import ABTest, Result, Unit
from ml_pipeline.apps.abtests.tests import Entrant
from ml_pipeline.apps.endpoints import feedback
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.errors import InvalidInput

pytestmark = pytest.mark.django_db

REWARD = {"name": "reward", "cap": None, "low": 0.0, "high": 50.0}


@pytest.fixture
def test() -> ABTest:
    entrants = [Entrant(one) for one in algorithms("1", "2")]
    return tests.create("rewards", entrants, REWARD, PLAN, actor="ann")


def test_whose_answers_earn_more_is_promoted(test: ABTest) -> None:
    for _ in range(60):
        for arm, earned in ((0, "10"), (1, "40")):
            told(of_arm(test, arm, "yes", 1), earned)
    decided = folded(test)
    assert (decided.result, in_production()) == (Result.PROMOTED, ["2"])
    assert set(Unit.objects.filter(test=test, position__isnull=False).values_list("arm", "score")) == {
        (0, 0.2),
        (1, 0.8),
    }
    assert verification.verified(decided).problems == []


def test_what_does_not_count_is_told_rewards_too(test: ABTest) -> None:
    rows = of_arm(test, 1, "yes", 2)
    # As of a unit whose arm was withdrawn.
    MLRequest.objects.filter(pk=rows[0].pk).update(arm=None)
    told(rows, "12.5")
    assert Feedback.objects.filter(value=12.5).count() == 2
    assert folded(test).counted == 1


def test_a_label_is_no_reward_and_a_reward_no_label(test: ABTest) -> None:
    (row,) = of_arm(test, 0, "yes", 1)
    with pytest.raises(InvalidInput) as refused:
        feedback.record(row.pk, "yes", OPERATOR)
    assert refused.value.complaints[0].expected == "a finite number"
    ends.stop(test, actor="ann")
    # What was asked in the test is told rewards for good.
    assert feedback.record(row.pk, 12.5, OPERATOR) == "accepted"
    entrants = [Entrant(arm.parent_mlalgorithm) for arm in test.arms.all()]
    by_label = tests.create(
        "labels", entrants, {**REWARD, "name": "accuracy", "low": None, "high": None}, PLAN, actor="ann"
    )
    (row,) = of_arm(by_label, 0, "yes", 1)
    with pytest.raises(InvalidInput):
        feedback.record(row.pk, 12.5, OPERATOR)
