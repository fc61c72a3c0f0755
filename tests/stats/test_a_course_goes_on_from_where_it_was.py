"""A course is the same to the last bit, however its events were batched and wherever it was taken up again."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_pipeline.stats import bounded, mcnemar, pairing, ratios
from ml_pipeline.stats.bounded import STEPS
from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.plans import Guardrail, Plan

GUARDRAILS = (Guardrail("errors", 0.005), Guardrail("slow", 0.01))
PLANS = [
    Plan(),
    Plan(guardrails=GUARDRAILS),
    Plan(weights=(0.5, 0.25, 0.25), guardrails=GUARDRAILS),
    Plan(weights=(0.9, 0.1)),
    Plan(weights=(1, 1, 1), is_binary=False),
    Plan(weights=(0.62, 0.38), is_binary=False, margin=0.01),
    Plan(margin=-0.02),
]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["assign", "advance", "advance", "withdraw"]), st.integers(0, 2), st.floats(0, 1)),
    max_size=60,
)


def happen(course: Course, events: list[tuple[str, int, float]]) -> None:
    """All events that the plan knows of; a score is rounded where it has to be."""
    for kind, number, score in events:
        arm = number % len(course.plan.weights)
        if kind == "assign":
            course.assign(arm, {"errors": score > 0.9, "slow": score < 0.2})
        elif kind == "advance":
            course.advance(arm, round(score) if course.plan.is_binary else score)
        elif arm and score > 0.9:
            course.withdraw(arm)


def put_away(course: Course) -> Course:
    return Course.restored(course.plan, json.loads(json.dumps(course.state(), allow_nan=False)))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PLANS), EVENTS, EVENTS, EVENTS)
def test_put_away_and_taken_up_it_is_as_if_it_had_never_stopped(plan: Plan, begun: Any, more: Any, rest: Any) -> None:
    straight, interrupted = Course(plan), Course(plan)
    for events in (begun, more, rest):
        happen(straight, events)
        happen(interrupted, events)
        interrupted = put_away(interrupted)
    assert interrupted.state() == straight.state()
    assert interrupted.decision(5.0) == straight.decision(5.0)
    assert interrupted.point(1) == straight.point(1)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PLANS), EVENTS, st.floats(0, 1e9), st.booleans())
def test_every_number_that_it_says_is_finite(plan: Plan, events: Any, elapsed_s: float, is_stopped: bool) -> None:
    course = Course(plan)
    happen(course, events)
    decision = course.decision(elapsed_s, is_stopped=is_stopped)
    point = dataclasses.asdict(course.point(1))
    json.dumps([dataclasses.asdict(decision), point, dataclasses.asdict(course.totals(elapsed_s))], allow_nan=False)
    assert decision.outcome != "undecided" or not is_stopped


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=200), st.randoms(use_true_random=False))
def test_only_the_order_within_an_arm_matters(labels: list[tuple[int, bool]], random: Any) -> None:
    queues: dict[int, list[bool]] = {0: [], 1: []}
    for arm, is_right in labels:
        queues[arm].append(is_right)
    order = [arm for arm, _ in labels]
    random.shuffle(order)
    one, other = Course(Plan()), Course(Plan())
    for arm, is_right in labels:
        one.advance(arm, is_right)
    for arm in order:
        other.advance(arm, queues[arm].pop(0))
    assert one.totals(0).contests == other.totals(0).contests


@given(st.lists(st.floats(-1, 1), max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_differences_does_not_matter(drawn: list[float], random: Any) -> None:
    one, other = bounded.Differences(), bounded.Differences()
    for difference in drawn:
        one.add(difference)
    random.shuffle(drawn)
    for difference in drawn:
        other.add(difference)
    assert one.log_evidence(0.01) == pytest.approx(other.log_evidence(0.01), abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_the_arms_changed_about_harm_is_what_evidence_was(pairs: list[tuple[bool, bool]]) -> None:
    there, back = Course(Plan()), Course(Plan())
    for champion, challenger in pairs:
        for arm, is_right in enumerate((champion, challenger)):
            there.advance(arm, is_right)
            back.advance(1 - arm, is_right)
    one, other = there.totals(0).contests[0], back.totals(0).contests[0]
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert (one.log_evidence_peak, one.log_harm_peak) == (other.log_harm_peak, other.log_evidence_peak)


def test_it_says_what_the_pure_functions_say_of_the_same_labels() -> None:
    rng = np.random.default_rng(1)
    arms = rng.integers(0, 2, 4000).tolist()
    right = (rng.random(4000) < np.where(arms, 0.9, 0.85)).tolist()
    course = Course(Plan())
    peak, waiting = 0.0, ([], [])
    wins = losses = pairs = 0
    for arm, is_right in zip(arms, right, strict=True):
        course.advance(arm, is_right)
        waiting[arm].append(is_right)
        if waiting[0] and waiting[1]:
            champion, challenger = waiting[0].pop(0), waiting[1].pop(0)
            pairs, wins, losses = pairs + 1, wins + (challenger > champion), losses + (challenger < champion)
            peak = max(peak, mcnemar.log_evidence(wins, losses))
    totals = course.totals(0).contests[0]
    assert (totals.pairs, totals.wins, totals.losses, totals.log_evidence_peak) == (pairs, wins, losses, peak)
    assert totals.log_evidence == mcnemar.log_evidence(wins, losses)
    point = course.point(1)
    tally = {0: float(losses), STEPS: float(pairs - wins - losses), 2 * STEPS: float(wins)}
    assert point.band == bounded.Differences(pairs, wins, losses, tally).band(0.05)
    assert point.mean == pytest.approx((wins - losses) / pairs)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(margin=0.03, alpha=0.01),
        Plan(margin=-0.02),
        Plan(is_binary=False),
        Plan(is_binary=False, margin=0.03),
        Plan(weights=(0.75, 0.25)),
    ],
)
@pytest.mark.parametrize("accuracies", [(0.80, 0.88), (0.88, 0.80)])
def test_margins_blocks_and_scores_are_judged_by_bounded_differences(
    plan: Plan, accuracies: tuple[float, float]
) -> None:
    rng = np.random.default_rng(4)
    course, stream = Course(plan), pairing.Stream(plan.block_sizes(1))
    evidence, harm = [0.0], [0.0]
    for arm in rng.choice(2, 3000, p=plan.weights).tolist():
        score = float(rng.random() < accuracies[arm])
        course.advance(arm, score)
        if stream.add(arm, score) is not None:
            evidence.append(stream.differences.log_evidence(plan.margin))
            harm.append(stream.differences.log_evidence_below(min(plan.margin, 0)))
    totals = course.totals(0).contests[0]
    assert (totals.log_evidence_peak, totals.log_harm_peak) == (max(evidence), max(harm))
    assert totals.log_evidence == evidence[-1]
    assert totals.pairs == len(evidence) - 1


def test_bands_of_several_challengers_hold_at_once() -> None:
    course = Course(Plan(weights=(1, 1, 1)))
    for place in range(600):
        for arm in range(3):
            course.advance(arm, (place % (arm + 2)) == 0)
    tally = {0: 200.0, STEPS: 300.0, 2 * STEPS: 100.0}
    assert course.point(1).band == bounded.Differences(600, 100, 200, tally).band(0.05 / 2)


def test_each_challenger_meets_the_champion_in_a_queue_of_its_own() -> None:
    course = Course(Plan(weights=(1, 1, 1)))
    for arm, score in [(0, 0), (0, 1), (1, 1), (2, 0), (2, 0), (2, 1), (1, 1)]:
        course.advance(arm, score)
    first, second = course.totals(0).contests
    assert (first.pairs, first.wins, first.losses) == (2, 1, 0)
    assert (second.pairs, second.wins, second.losses) == (2, 0, 1)


def test_what_comes_of_a_withdrawn_arm_is_ignored_and_the_others_go_on() -> None:
    rng = np.random.default_rng(2)
    course = Course(Plan(weights=(1, 1, 2)))
    for arm in rng.choice(3, 2000, p=[0.25, 0.25, 0.5]).tolist():
        course.assign(arm)
        course.advance(arm, 1)
    course.withdraw(1)
    before = course.state()
    course.assign(1)
    course.advance(1, 1)
    assert course.state() == before
    for arm in rng.choice([0, 2], 20_000, p=[1 / 3, 2 / 3]).tolist():
        course.assign(arm)
        course.advance(arm, 1)
    gates = {gate.name: gate for gate in course.decision(0).gates}
    assert gates["sample_ratio"].is_passed
    assert gates["label_parity"].is_passed
    assert [gate.arm for gate in course.decision(0).gates if gate.name == "evidence"] == [2]


@pytest.mark.parametrize(
    ("plan", "arm", "score"),
    [
        (Plan(), 0, 0.5),
        (Plan(), 0, math.nan),
        (Plan(), 2, 1.0),
        (Plan(), -1, 1.0),
        (Plan(is_binary=False), 0, 1.01),
        (Plan(is_binary=False), 0, math.nan),
    ],
)
def test_what_is_no_score_or_no_arm_is_refused_and_changes_nothing(plan: Plan, arm: int, score: float) -> None:
    course = Course(plan)
    with pytest.raises(ValueError, match=r"."):
        course.advance(arm, score)
    assert course.state() == Course(plan).state()


def test_shares_alarm_in_a_course_as_they_do_alone() -> None:
    rng = np.random.default_rng(3)
    course, units, labels = Course(Plan()), [[0, 0]], [[0, 0]]
    for arm in (rng.random(10_000) < 0.46).astype(int).tolist():
        course.assign(arm)
        units.append([units[-1][0] + (arm == 0), units[-1][1] + (arm == 1)])
        if rng.random() < (0.3, 0.6)[arm]:
            course.advance(arm, 1)
            labels.append([labels[-1][0] + (arm == 0), labels[-1][1] + (arm == 1)])
    totals = course.totals(0)
    assert (totals.units, totals.labels) == (tuple(units[-1]), tuple(labels[-1]))
    assert totals.log_sample_ratio_peak == pytest.approx(ratios.log_evidence(units, (1, 1)).max(), abs=1e-7)
    assert totals.log_label_parity_peak == pytest.approx(ratios.log_evidence(labels, (1, 1)).max(), abs=1e-7)
    failed = {gate.name for gate in course.decision(0).failed(1)}
    assert failed == {"sample_ratio", "label_parity", "evidence", "discordant"}


def test_an_arm_without_labels_makes_the_other_wait_within_bounds() -> None:
    stream = pairing.Stream((1, 1))
    for place in range(pairing.LONGEST_QUEUE + 500):
        stream.add(pairing.CHAMPION, float(place % 2))
    assert [len(queue) for queue in stream.state()["waiting"]] == [pairing.LONGEST_QUEUE, 0]
    assert stream.add(pairing.CHALLENGER, 1.0) == 1.0
    assert stream.differences.count == 1


@pytest.mark.parametrize(
    ("weights", "sizes"),
    [
        ((0.5, 0.5), (1, 1)),
        ((0.9, 0.1), (9, 1)),
        ((1, 9), (1, 9)),
        ((2, 1), (2, 1)),
        ((0.7, 0.3), (7, 3)),
        ((0.62, 0.38), (13, 8)),
        ((0.51, 0.49), (1, 1)),
        ((0.99, 0.01), (99, 1)),
        ((1 / 3, 2 / 3), (1, 2)),
    ],
)
def test_weights_become_blocks(weights: tuple[float, float], sizes: tuple[int, int]) -> None:
    assert pairing.block_sizes(*weights) == sizes


@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_blocks_leave_few_outcomes_over(champion: float, challenger: float) -> None:
    more, fewer = pairing.block_sizes(champion, challenger)
    share = (champion / challenger) / (more / fewer)
    assert 0.95 <= share <= 1.06
    assert min(more, fewer) <= 10
