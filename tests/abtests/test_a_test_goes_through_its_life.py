"""A test starts with the algorithm in production, is alone on its endpoint, and ends with one in production."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from logged import ACCURACY, PLAN, algorithms, answered, folded, in_production, of_arm, started, told
from registered import OPERATOR, algorithm, status_of

from ml_pipeline.apps.abtests import ends, tests
from ml_pipeline.apps.abtests.models import ABTest, State
from ml_pipeline.apps.abtests.tests import Entrant
from ml_pipeline.apps.endpoints import algorithms as registry
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.jobs.models import Job
from ml_pipeline.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db


def arms(test: ABTest) -> list[MLAlgorithm]:
    return [arm.parent_mlalgorithm for arm in test.arms.all()]


def test_all_arms_are_in_the_test_while_it_runs() -> None:
    before = revisions.current()
    test = started("1", "2", "3")
    assert [status_of(one) for one in arms(test)] == ["ab_testing"] * 3
    assert in_production() == []
    assert revisions.current() > before
    (running,) = tests.running()
    assert (running.id, running.endpoint, running.salt) == (test.pk, "demo", test.salt)
    assert [(arm.number, arm.algorithm_id) for arm in running.arms] == list(enumerate(one.pk for one in arms(test)))
    assert Job.objects.get(kind="abtest").subject == str(test.pk)
    assert Event.objects.filter(action="abtest.started", actor="ann").count() == 1


def test_the_champion_is_what_is_in_production() -> None:
    first, second, third = algorithms("1", "2", "3")
    assert [one.algorithm for one in tests.of_pair(first, second)] == [first, second]
    assert [one.algorithm for one in tests.of_pair(second, first)] == [first, second]
    with pytest.raises(Conflict, match="must be the algorithm that is in production"):
        tests.create("tests", [Entrant(second), Entrant(third)], ACCURACY, PLAN, actor="ann")
    assert ABTest.objects.count() == 0
    assert status_of(first) == "production"


def test_where_nothing_is_in_production_the_first_is_the_champion() -> None:
    made = [algorithm("1"), algorithm("2")]
    test = tests.create("tests", tests.of_pair(*made), ACCURACY, PLAN, actor="ann")
    ends.stop(test, actor="ann")
    assert in_production() == ["1"]


def test_one_runs_at_a_time() -> None:
    test = started()
    with pytest.raises(Conflict, match="runs on 'demo' already"):
        tests.create("tests", [Entrant(one) for one in arms(test)], ACCURACY, PLAN, actor="ann")


@pytest.mark.parametrize(
    ("metric", "plan"),
    [
        ({"name": "squared_error", "cap": 1.0}, {}),
        ({"name": "nonsense"}, {}),
        ({}, {"alpha": 0.0}),
        ({}, {"max_labels": 5, "min_labels": 10}),
        ({}, {"guardrails": [{"name": "slow", "margin": 0.1, "alpha": 0.01, "objective_us": None}]}),
        ({}, {"guardrails": [{"name": "errors", "margin": 0.1, "alpha": 0.01, "objective_us": 5}]}),
    ],
)
def test_terms_that_do_not_fit_together_are_refused(metric: dict[str, object], plan: dict[str, object]) -> None:
    entrants = [Entrant(one) for one in algorithms("1", "2")]
    with pytest.raises(InvalidInput):
        tests.create("tests", entrants, {**ACCURACY, **metric}, {**PLAN, **plan}, actor="ann")
    assert in_production() == ["1"]


def test_shares_that_are_too_far_apart_are_refused() -> None:
    one, other = algorithms("1", "2")
    with pytest.raises(InvalidInput, match="10,000 times the other's share"):
        tests.create("tests", [Entrant(one, 0.001), Entrant(other, 1_000)], ACCURACY, PLAN, actor="ann")


def test_arms_must_be_comparable() -> None:
    one, other = algorithms("1", "2")
    regression = algorithm("3", signature={**one.signature, "task": "regression", "labels": []})
    elsewhere = algorithm("1", endpoint="elsewhere")
    labels = algorithm("4", signature={**one.signature, "labels": ["no", "maybe"]})
    for pair in ((one, regression), (one, elsewhere), (one, labels), (one, one), (one,)):
        with pytest.raises(InvalidInput):
            tests.create("tests", [Entrant(each) for each in pair], ACCURACY, PLAN, actor="ann")
    statuses.archive(other, actor="ann")
    with pytest.raises(Conflict, match="archived"):
        tests.create("tests", [Entrant(one), Entrant(other)], ACCURACY, PLAN, actor="ann")


def test_nothing_else_moves_an_arm_or_fills_its_place() -> None:
    test = started()
    bystander = algorithm("9")
    champion, challenger = arms(test)
    for move in (statuses.promote, statuses.archive):
        for one in (champion, challenger):
            with pytest.raises(Conflict, match="leaves it only by the test's end"):
                move(one, actor="bob")
    with pytest.raises(Conflict, match="stop it first"):
        statuses.promote(bystander, actor="bob")
    assert statuses.archive(bystander, actor="bob").changed


def test_a_rollback_stops_it_and_the_champion_is_back() -> None:
    test = started("1", "2")
    told(of_arm(test, 0, "no", 20) + of_arm(test, 1, "yes", 20), "yes")
    endpoint = Endpoint.objects.get(name="demo")
    step = statuses.roll_back(endpoint, actor="bob", reason="odd")
    assert step.parent_mlalgorithm.version == "1"
    assert in_production() == ["1"]
    test.refresh_from_db()
    assert (test.state, test.result) == (State.FINISHED, "rolled_back")
    assert json.loads(test.certificate or "")["decided_by"] == "bob"
    assert tests.running() == []
    # There was nothing in production before.
    with pytest.raises(Conflict, match="nothing to roll back to"):
        statuses.roll_back(endpoint, actor="bob")


def test_a_rollback_after_a_promotion_returns_to_the_champion() -> None:
    test = started("1", "2")
    told(of_arm(test, 0, "no", 20) + of_arm(test, 1, "yes", 20), "yes")
    assert folded(test).result == "promoted"
    assert in_production() == ["2"]
    step = statuses.roll_back(Endpoint.objects.get(name="demo"), actor="bob")
    assert step.parent_mlalgorithm.version == "1"


def test_a_champion_that_stays_keeps_its_place_in_the_order_of_rollbacks() -> None:
    old, new, other = algorithms("1", "2", "3")
    statuses.promote(new, actor="ann")
    test = tests.create("tests", [Entrant(new), Entrant(other)], ACCURACY, PLAN, actor="ann")
    ends.stop(test, actor="ann")
    assert in_production() == ["2"]
    assert statuses.roll_back(Endpoint.objects.get(name="demo"), actor="bob").parent_mlalgorithm == old


def test_history_during_a_test_names_it_and_its_champion() -> None:
    endpoint_before = timezone.now()
    test = started("1", "2")
    endpoint = test.parent_endpoint
    during = statuses.production_at(endpoint, timezone.now())
    assert during is not None
    assert (during.parent_mlalgorithm.version, during.status, during.test_id, during.arm) == (
        "1",
        "ab_testing",
        test.pk,
        0,
    )
    told(of_arm(test, 0, "no", 20) + of_arm(test, 1, "yes", 20), "yes")
    test = folded(test)
    after = statuses.production_at(endpoint, timezone.now())
    assert after is not None
    assert (after.parent_mlalgorithm.version, after.status, after.created_by) == (
        "2",
        "production",
        f"abtest:{test.pk}",
    )
    # At no moment between is nobody there.
    assert test.ended_at is not None
    last = statuses.production_at(endpoint, test.ended_at - timedelta(microseconds=1))
    assert last is not None
    assert last.pk == during.pk
    assert statuses.production_at(endpoint, endpoint_before) is None


def test_without_feedback_the_champion_stays_and_it_is_said_why() -> None:
    test = started()
    answered(test, ["yes"] * 10)
    stopped = ends.stop(test, actor="bob", reason="enough")
    assert stopped.changed
    assert stopped.test.result == "stayed"
    assert "no label has come" in stopped.test.summary
    assert in_production() == ["1"]
    assert not ends.stop(test, actor="bob").changed
    assert Event.objects.filter(action="abtest.ended").count() == 1
    document = json.loads(stopped.test.certificate or "")
    assert (document["result"], document["units"], document["observations"]) == ("stayed", 10, 0)


def test_a_winner_may_be_left_to_a_person() -> None:
    test = started(promotes=False)
    told(of_arm(test, 0, "no", 20) + of_arm(test, 1, "yes", 20), "yes")
    test = folded(test)
    assert (test.result, in_production()) == ("proposed", ["1"])
    statuses.promote(arms(test)[1], actor="ann")
    assert in_production() == ["2"]


def test_a_harmful_arm_leaves_and_the_others_go_on() -> None:
    test = started("1", "2", "3")
    told(of_arm(test, 0, "yes", 40) + of_arm(test, 1, "no", 40), "yes")
    test = folded(test)
    assert test.state == State.RUNNING
    assert [status_of(one) for one in arms(test)] == ["ab_testing", "testing", "ab_testing"]
    (running,) = tests.running()
    assert [arm.is_withdrawn for arm in running.arms] == [False, True, False]
    told(of_arm(test, 2, "no", 40), "yes")
    test = folded(test)
    assert (test.result, in_production()) == ("harmful", ["1"])
    assert Event.objects.filter(action="abtest.withdrawn", actor=f"abtest:{test.pk}").count() == 2
    assert Event.objects.filter(action="abtest.ended", actor=f"abtest:{test.pk}").count() == 1


def test_an_arm_is_not_registered_again_meanwhile() -> None:
    test = started()
    assert statuses.is_in_test(arms(test)[1])
    ends.stop(test, actor="ann")
    assert not statuses.is_in_test(arms(test)[1])
    assert registry.identified(arms(test)[1].pk, OPERATOR) == arms(test)[1]
