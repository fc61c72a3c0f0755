"""A self-test says what the pure function says of the labels that were counted, or why it says nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from logged import PLAN, answered, folded, of_arm, started, told
from servers import wait_until

from ml_pipeline.apps.abtests import ends, selftests
from ml_pipeline.apps.abtests.models import ABTest, Arm, SelfTest, Unit
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.models import Job, State
from ml_pipeline.errors import Conflict, InvalidInput, Overloaded
from ml_pipeline.stats import selftest
from ml_pipeline.stats.plans import Plan

pytestmark = pytest.mark.django_db


def labelled(test: ABTest, accuracies: tuple[float, ...], count: int) -> ABTest:
    """The test, with so many more answers; arms are right as often as `accuracies` say."""
    draw, rows = random.Random(count), answered(test, ["yes"] * count)
    right = {row.pk for row in rows if draw.random() < accuracies[row.arm or 0]}
    told([row for row in rows if row.pk in right], "yes")
    told([row for row in rows if row.pk not in right], "no")
    return folded(test)


def claimed() -> leases.Lease:
    """The lease of the self-test that is due, or will be in this millisecond."""
    found: list[leases.Lease | None] = [None]
    wait_until(lambda: found.append(leases.claim([selftests.REPLAYING], "tests")) or found[-1] is not None)
    assert found[-1] is not None
    return found[-1]


def done(test: ABTest, **asked: int) -> dict[str, Any]:
    """What a worker finds."""
    selftests.ask(test, **asked)
    again: float | None = 0.0
    while again is not None:
        lease = claimed()
        again = selftests.work(lease)
        lease.finish() if again is None else lease.postpone(again)
    return selftests.to_json(SelfTest.objects.get(test=test))


def log_of(test: ABTest) -> list[tuple[int, float]]:
    rows = Unit.objects.filter(test=test, position__isnull=False).order_by("position")
    return [(one.arm, one.score or 0.0) for one in rows]


def plan_of(**changes: Any) -> Plan:
    return Plan(**{**PLAN, "guardrails": (), **changes})


@pytest.mark.parametrize("accuracies", [(0.8, 0.8), (0.7, 0.9)])
def test_it_finds_what_the_pure_function_finds(accuracies: tuple[float, float]) -> None:
    # Not decided by what comes.
    plan = {"alpha": 0.05, "harm_alpha": 1e-6, "min_time_s": 3600.0}
    test = labelled(started(**plan), accuracies, 600)
    found = done(test, replays=40, seed=7)
    pure = selftest.run(plan_of(**plan), log_of(test), replays=40, seed=7)
    assert {name: found[name] for name in ("promoted", "rate", "low", "high")} == {
        name: getattr(pure, name) for name in ("promoted", "rate", "low", "high")
    }
    # How many of 40 are false is chance: units fall differently in each run.
    assert found["low"] <= found["alpha"] == 0.05
    assert (found["state"], found["done"], found["labels"], found["counted"]) == ("done", 40, 600, 600)


def test_of_a_test_that_is_over_too_and_promises_that_are_weak_are_seen() -> None:
    test = labelled(started(alpha=0.5, harm_alpha=1e-6, max_labels=300), (0.5, 0.5), 300)
    ends.stop(test, actor="ann")
    found = done(ABTest.objects.get(pk=test.pk), replays=60, seed=1)
    assert 0 < found["low"] <= found["rate"] <= found["high"] < 1


def test_asked_again_it_is_the_same_until_labels_come() -> None:
    test = labelled(started(min_time_s=3600.0), (0.5, 0.5), 40)
    first = selftests.ask(test, replays=5, seed=1)
    assert selftests.ask(test, replays=5, seed=1).pk == first.pk
    with pytest.raises(Conflict, match="5 replays with the seed 1 is under way"):
        selftests.ask(test, replays=5, seed=2)
    assert done(test, replays=5, seed=1)["done"] == 5
    assert selftests.progress(selftests.ask(test, replays=5, seed=1)) == "done"
    test = labelled(test, (0.5, 0.5), 10)
    assert selftests.progress(selftests.ask(test, replays=5, seed=1)) == "running"
    assert done(test, replays=5, seed=1)["labels"] == 50
    assert done(test, replays=6, seed=1)["replays"] == 6
    assert SelfTest.objects.count() == Job.objects.filter(kind=selftests.REPLAYING).count() == 1


def test_one_that_was_given_up_begins_anew() -> None:
    test = labelled(started(min_time_s=3600.0), (0.5, 0.5), 40)
    one = selftests.ask(test, replays=5, seed=1)
    SelfTest.objects.update(done=3, promoted=3)
    Job.objects.filter(kind=selftests.REPLAYING).update(state=State.FAILED)
    one.refresh_from_db()
    assert selftests.to_json(one)["state"] == "failed"
    assert done(test, replays=5, seed=1)["promoted"] == 0


def test_labels_of_an_arm_that_was_withdrawn_are_left_out() -> None:
    test = started("1", "2", "3", harm_alpha=0.01, min_time_s=3600.0)
    told(of_arm(test, 0, "yes", 40) + of_arm(test, 1, "yes", 40), "yes")
    told(of_arm(test, 2, "yes", 40), "no")
    test = folded(test)
    assert [one.is_withdrawn for one in Arm.objects.filter(test=test)] == [False, False, True]
    found = done(test, replays=5, seed=1)
    assert (found["withdrawn"], found["labels"]) == ([2], 80)
    assert found["counted"] > 80


def test_what_says_nothing_is_refused() -> None:
    test = started(min_time_s=3600.0)
    with pytest.raises(Conflict, match="nothing to shuffle"):
        selftests.ask(test, replays=200, seed=1)
    told(of_arm(test, 1, "yes", 5), "yes")
    with pytest.raises(Conflict, match="nothing to shuffle"):
        selftests.ask(folded(test), replays=200, seed=1)
    told(of_arm(test, 0, "yes", 5), "yes")
    with pytest.raises(InvalidInput, match="at most 400,000 replays of 10 labels"):
        selftests.ask(folded(test), replays=400_001, seed=1)
    assert SelfTest.objects.count() == 0


@pytest.mark.parametrize(
    ("plan", "why"),
    [({"margin": -0.05}, "below 0"), ({"min_labels": 100}, "nobody before 100 labels, and there are 40")],
)
def test_plans_that_make_it_senseless_are_refused(plan: dict[str, float], why: str) -> None:
    test = labelled(started(min_time_s=3600.0, **plan), (0.5, 0.5), 40)
    with pytest.raises(Conflict, match=why):
        selftests.ask(test, replays=200, seed=1)


def test_most_of_a_worker_remains_for_counting() -> None:
    test = labelled(started(min_time_s=3600.0), (0.5, 0.5), 40)
    others = [Job(kind=selftests.REPLAYING, subject=f"-{one}", due_at=test.created_at) for one in range(2)]
    Job.objects.bulk_create(others)
    with pytest.raises(Overloaded):
        selftests.ask(test, replays=200, seed=1)
    Job.objects.filter(pk=others[0].pk).update(state=State.SUCCEEDED)
    assert selftests.ask(test, replays=200, seed=1).labels == 40
