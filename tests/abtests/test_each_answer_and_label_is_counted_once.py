"""What comes of a test is counted once a unit, in its order, and says what the pure functions say of the same."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest
import simulations
from django.db import transaction
from django.db.models import JSONField, Value
from logged import answered, folded, in_production, of_arm, started, told

from ml_pipeline.apps.abtests import counting, ends, standings, verification
from ml_pipeline.apps.abtests.models import ABTest, Arm, UncountedAnswers, UncountedLabel, Unit
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest

pytestmark = pytest.mark.django_db


def counts(test: ABTest) -> tuple[int, int]:
    return (test.units, test.counted)


def scores(test: ABTest) -> list[float | None]:
    return list(Unit.objects.filter(test=test).order_by("position").values_list("score", flat=True))


def test_a_unit_counts_once_and_so_does_its_first_label() -> None:
    test = started()
    rows = answered(test, ["yes", "no", "yes"], unit="ann")
    assert counts(folded(test)) == (1, 0)
    told(rows[1:2], "yes")
    told(rows[:1], "yes")
    assert counts(folded(test)) == (1, 1)
    assert scores(test) == [0.0]
    assert not ABTest.objects.get(pk=test.pk).is_corrected


def test_what_is_not_of_the_test_is_not_counted() -> None:
    test = started()
    (row,) = answered(test, ["yes"])
    outside = MLRequest.objects.get(pk=row.pk)
    # Asked for by version: of the same algorithm, and of no test; and one whose arm had been withdrawn.
    outside.pk, outside.test_id, outside.arm = uuid4(), None, None
    outside.save(force_insert=True)
    withdrawn = MLRequest.objects.get(pk=row.pk)
    withdrawn.pk, withdrawn.arm = uuid4(), None
    withdrawn.save(force_insert=True)
    told([outside, withdrawn], "yes")
    assert counts(folded(test)) == (1, 0)
    assert not UncountedLabel.objects.exists()


def test_a_failed_answer_and_one_in_whose_place_the_champion_stood_score_worst() -> None:
    test = started()
    champion = test.arms.get(number=0).parent_mlalgorithm_id
    units = (str(uuid4()) for _ in range(1000))
    rows: list[MLRequest] = []
    while not any(row.arm == 1 for row in rows):
        rows += answered(test, ["yes"], unit=next(units), parent_mlalgorithm_id=champion)
    stood_in = rows[-1]
    (failed,) = answered(test, ["yes"], outcome="internal", full_response='{"error": {}}')
    told([stood_in, failed], "yes")
    folded(test)
    assert scores(test) == [None] * (len(rows) - 1) + [0.0, 0.0]
    assert Unit.objects.filter(test=test, is_failed=True).count() == 2


def test_a_correction_is_kept_and_marks_the_test() -> None:
    test = started()
    rows = answered(test, ["yes"] * 4)
    told(rows, "yes")
    told(rows[:1], "no")
    test = folded(test)
    assert (counts(test), test.is_corrected) == ((4, 4), True)
    assert scores(test) == [1.0] * 4
    ends.stop(test, actor="ann")
    test.refresh_from_db()
    report = verification.verified(test)
    assert report.is_verified, report.problems
    assert report.if_corrected == {"outcome": "stay", "arm": None, "corrected": 1}


def test_what_was_erased_is_complained_of_and_corrects_nothing() -> None:
    test = started()
    rows = [row for unit in range(4) for row in answered(test, ["yes"], unit=str(unit))]
    told(rows, "yes")
    told(rows[:1], "no")
    ends.stop(folded(test), actor="ann")
    # As erasure leaves it.
    MLRequest.objects.filter(pk=rows[3].pk).update(
        input_data="null", full_response="null", response=None, probability=None, unit=None
    )
    Feedback.objects.filter(request_id=rows[3].pk).update(value=Value(None, JSONField()))
    report = verification.verified(ABTest.objects.get(pk=test.pk))
    assert report.problems == [
        "of 4 units that were counted the log has 3",
        "of 4 observations that were counted the log has 3",
    ]
    assert report.if_corrected == {"outcome": "stay", "arm": None, "corrected": 1}


def test_a_correction_after_the_end_marks_it_too_and_late_ones_are_cleared_away() -> None:
    test = started()
    rows = answered(test, ["yes"] * 4)
    told(rows[:2], "yes")
    ends.stop(test, actor="ann")
    told(rows[2:], "yes")
    answered(test, ["no"])
    assert counts(folded(test)) == (4, 2)
    assert not ABTest.objects.get(pk=test.pk).is_corrected
    told(rows[:1], "no")
    test = folded(test)
    assert (test.is_corrected, test.result) == (True, "stayed")
    assert not UncountedLabel.objects.exists()
    assert not UncountedAnswers.objects.exists()


def test_a_transaction_counts_no_more_than_so_many() -> None:
    test = started()
    rows = answered(test, ["yes"] * 450)
    told(rows, "yes")
    for expected in ((200, 0), (400, 0), (450, 150), (450, 350), (450, 450)):
        with transaction.atomic():
            standing = standings.locked(test.pk)
            more = counting.fold(standing)
        assert (standing.test.units, standing.test.counted) == expected
        assert more == (expected != (450, 450))


def test_labels_wait_for_the_answers_before_them_alone() -> None:
    test = started()
    told(answered(test, ["yes"] * 250), "yes")
    bound, more = None, True
    while more:
        # More than a transaction counts comes in with each.
        answered(test, ["yes"] * 250)
        with transaction.atomic():
            standing = standings.locked(test.pk)
            bound = bound or counting.newest(standing)
            more = counting.fold(standing, bound)
    assert counts(standing.test) == (500, 250)


def test_what_is_rolled_back_is_counted_again() -> None:
    test = started()
    told(answered(test, ["yes"] * 30), "yes")
    with transaction.atomic():
        counting.fold(standings.locked(test.pk))
        transaction.set_rollback(True)
    assert counts(folded(test)) == (30, 30)


def test_a_guardrail_is_watched_without_labels() -> None:
    errors = {"name": "errors", "margin": 0.005, "alpha": 0.01, "objective_us": None}
    test = started(guardrails=[errors])
    champion = test.arms.get(number=0).parent_mlalgorithm_id
    for _ in range(300):
        answered(test, ["yes"] * 2, parent_mlalgorithm_id=champion)
    test = folded(test)
    assert (test.result, in_production()) == ("harmful", ["1"])
    assert [gate["name"] for gate in (Arm.objects.get(test=test, number=1).withdrawal or {})["gates"]] == [
        "guardrail:errors"
    ]
    report = verification.verified(test)
    assert report.is_verified, report.problems


@pytest.mark.parametrize("seed", range(12))
def test_decisions_are_those_of_the_pure_functions_on_the_same_data(seed: int) -> None:
    accuracies = ((0.7, 0.7), (0.6, 0.95), (0.9, 0.5))[seed % 3]
    simulations.compare(simulations.run(started(max_labels=300), accuracies, 1_000, random.Random(seed)))


def test_what_was_changed_afterwards_is_found() -> None:
    test = started()
    told(of_arm(test, 0, "no", 20) + of_arm(test, 1, "yes", 20), "yes")
    test = folded(test)
    assert verification.verified(test).is_verified
    unit = Unit.objects.filter(test=test, position=3).get()

    def complaints() -> str:
        return " ".join(verification.verified(ABTest.objects.get(pk=test.pk)).problems)

    Unit.objects.filter(pk=unit.pk).update(score=1.0 - (unit.score or 0.0))
    assert "observations_digest differs" in complaints()
    assert "has the score" in complaints()
    Unit.objects.filter(pk=unit.pk).update(score=unit.score)
    assert complaints() == ""
    Feedback.objects.filter(request_id=unit.request_id).update(value="no")
    assert "has the score" in complaints()
    Feedback.objects.filter(request_id=unit.request_id).update(value="yes")
    MLRequest.objects.filter(pk=unit.request_id).delete()
    assert "the log has" in complaints()
    ABTest.objects.filter(pk=test.pk).update(certificate=(test.certificate or "").replace('"wins":', '"wins":1'))
    assert "totals differs" in complaints()
