"""The self-test: how often the rule promotes when no arm is better, tried on the labels of a real test.

The scores of a log are dealt out anew among its labels, so that the arms differ by chance alone, and gone through by
the very rule that decides. Whoever doubts the rule on his own data sees its false promotions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.decisions import Outcome
from ml_pipeline.stats.plans import Plan

# Evidence is kept at its highest, so that looking at every label would find nothing else, and cost ten times as much.
_LOOK_LABELS = 20


@dataclass(frozen=True, slots=True)
class FalsePromotions:
    """How many of `replays` without any difference ended in a promotion, and where their rate lies with 95 %."""

    replays: int
    promoted: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share of replays that promoted."""
        return self.promoted / self.replays


def run(
    plan: Plan, log: Sequence[tuple[int, float]], *, replays: int, seed: int, withdrawn: Sequence[int] = ()
) -> FalsePromotions:
    """The false promotions of `plan` on a log of (arm, score) in order of arrival, in `replays` shuffles by `seed`.

    The arms keep their places, and time is taken as enough. Challengers that are `withdrawn` are out from the first
    label on, and the log has none of them. ValueError without replays.
    """
    return found(replays, promoted(plan, log, range(replays), seed=seed, withdrawn=withdrawn))


def promoted(
    plan: Plan, log: Sequence[tuple[int, float]], numbers: Iterable[int], *, seed: int, withdrawn: Sequence[int] = ()
) -> int:
    """How many replays of these `numbers` promote: each has a shuffle of its own, so they may be gone through in parts.

    A replay costs some 8 µs a label, or 30 µs where scores are not 0 or 1.
    """
    arms = [arm for arm, _ in log]
    scores = np.array([score for _, score in log], dtype=np.float64)
    shuffled = (np.random.default_rng([seed, number]).permutation(scores).tolist() for number in numbers)
    return sum(_is_promoted(plan, arms, one, withdrawn) for one in shuffled)


def found(replays: int, promoted: int) -> FalsePromotions:
    """What so many promotions say; the interval is that of Clopper & Pearson (1934). ValueError without replays."""
    if replays < 1:
        raise ValueError("at least one replay")
    # Half a second, which no process needs that only serves.
    from scipy import stats

    interval = stats.binomtest(promoted, replays).proportion_ci(0.95, "exact")
    return FalsePromotions(replays, promoted, float(interval.low), float(interval.high))


def _is_promoted(plan: Plan, arms: Sequence[int], scores: Sequence[float], withdrawn: Sequence[int]) -> bool:
    # The time of a log is another question, and a maximum of it would end the first look.
    course = Course(dataclasses.replace(plan, max_time_s=None))
    for arm in withdrawn:
        course.withdraw(arm)
    last = min(len(arms), plan.max_labels or len(arms))
    for place, (arm, score) in enumerate(zip(arms, scores, strict=True), start=1):
        course.advance(arm, score)
        if place % _LOOK_LABELS and place != last:
            continue
        decision = course.decision(math.inf)
        while decision.outcome is Outcome.HARM and decision.arm is not None:
            course.withdraw(decision.arm)
            decision = course.decision(math.inf)
        if decision.outcome is not Outcome.UNDECIDED:
            return decision.outcome is Outcome.PROMOTE
    return False
