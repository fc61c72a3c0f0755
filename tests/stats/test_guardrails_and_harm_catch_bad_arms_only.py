from __future__ import annotations

import math

import numpy as np
import pytest
import walks
from numpy.typing import NDArray

from ml_pipeline.stats import bounded
from ml_pipeline.stats.bounded import STEPS
from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.plans import Guardrail, Plan

ERRORS = Guardrail("errors", margin=0.005)
RUNS, STEP, LOOKS = 1000, 25, 400  # 10,000 pairs: 20,000 requests


def evidence(rng: np.random.Generator, champion: float, challenger: float) -> NDArray[np.float64]:
    """The log evidence that the challenger fails more than 0.5 points oftener, (runs, looks), at these error rates."""
    more, fewer = challenger * (1 - champion), champion * (1 - challenger)
    counts = rng.multinomial(np.full((RUNS, LOOKS), STEP), [fewer, 1 - more - fewer, more]).cumsum(axis=1)
    parts = np.array_split(counts, 50)
    return np.concatenate([bounded.log_evidence(part, [0, STEPS, 2 * STEPS], ERRORS.margin) for part in parts])


def test_a_healthy_arm_raises_no_alarm() -> None:
    assert (evidence(np.random.default_rng(1), 0.01, 0.01) >= ERRORS.bound).any(axis=1).mean() <= 0.002


def test_an_arm_at_the_margin_alarms_as_seldom_as_promised() -> None:
    assert (evidence(np.random.default_rng(2), 0.01, 0.015) >= ERRORS.bound).any(axis=1).mean() <= 0.01


@pytest.mark.parametrize(("rate", "requests"), [(0.03, 4546), (0.05, 1287)])
def test_an_arm_that_fails_is_caught_in_time(rate: float, requests: int) -> None:
    is_caught = evidence(np.random.default_rng(3), 0.01, rate) >= ERRORS.bound
    assert is_caught.any(axis=1).mean() >= 0.995
    caught_at = 2 * STEP * (is_caught.argmax(axis=1) + 1)
    assert caught_at.mean() == pytest.approx(requests, rel=0.15)


def test_a_course_rolls_an_arm_back_that_fails_too_often_labelled_or_not() -> None:
    rng = np.random.default_rng(4)
    course = Course(Plan(guardrails=(ERRORS, Guardrail("slow", margin=0.02))))
    for request in range(20_000):
        arm = request % 2
        course.assign(arm, {"errors": bool(rng.random() < (0.01, 0.05)[arm]), "slow": bool(rng.random() < 0.1)})
        decision = course.decision(request)
        if decision.arm:
            break
    assert (decision.outcome, decision.arm) == ("harm", 1)
    assert [gate.name for gate in decision.failed(1)] == ["evidence", "discordant", "guardrail:errors"]


def test_a_course_judges_a_guardrail_as_the_pure_function_does() -> None:
    rng = np.random.default_rng(6)
    course, counts = Course(Plan(guardrails=(ERRORS,))), [[0, 0, 0]]
    for champion, challenger in (rng.random((3000, 2)) < (0.01, 0.02)).tolist():
        course.assign(0, {"errors": champion})
        course.assign(1, {"errors": challenger})
        place = challenger - champion + 1
        counts.append([n + (level == place) for level, n in enumerate(counts[-1])])
    expected = bounded.log_evidence(counts, [0, STEPS, 2 * STEPS], ERRORS.margin).max()
    assert expected > 0.1
    assert course.totals(0).contests[0].log_guardrail_peaks == (pytest.approx(expected),)


def test_every_guardrail_is_told_of_every_answer() -> None:
    course = Course(Plan(guardrails=(ERRORS,)))
    before = course.state()
    for bad in ({}, None, {"slow": True}):
        with pytest.raises(ValueError, match="every guardrail"):
            course.assign(0, bad)
    assert course.state() == before


def test_harm_is_evidence_of_its_own_and_as_seldom_false() -> None:
    rng, bound = np.random.default_rng(5), Plan().harm_bound
    assert bound == pytest.approx(math.log(100))
    wins, losses = walks.wins_and_losses(rng, *walks.discordant(0.85, 0.85), runs=4000)
    assert (walks.log_evidence(losses, wins) >= bound).any(axis=1).mean() <= 0.01
    wins, losses = walks.wins_and_losses(rng, *walks.discordant(0.85, 0.75), runs=500)
    is_found = walks.log_evidence(losses, wins) >= bound
    assert is_found.any(axis=1).all()
    assert 2 * walks.LOOKS[is_found.argmax(axis=1)].mean() <= 1000
