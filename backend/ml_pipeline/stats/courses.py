"""Courses: a test as it goes on, one event after another, from its plan to its decision.

The same events in the same order make the same state, whether they came one by one, in batches, or with restarts
between: to the last bit on one kind of processor, and within 1e-9 elsewhere, since logarithms differ there. A
certificate is verified by going through them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_pipeline.stats import decisions, ratios
from ml_pipeline.stats.bounded import Band
from ml_pipeline.stats.contests import Contest, Watched
from ml_pipeline.stats.decisions import Decision, Totals
from ml_pipeline.stats.pairing import CHALLENGER, CHAMPION
from ml_pipeline.stats.plans import Plan


@dataclass(frozen=True, slots=True)
class Point:
    """Where a contest stands after `labels` labels of all arms: a point of the path that people see."""

    labels: int
    pairs: int
    log_evidence: float
    mean: float | None
    band: Band


class Course:
    """The running state of one test. One observation a unit is the caller's duty, and so is the order of arrival.

    Where all arms answer each request (a shadow), the scores of one request are told one after the other: they make a
    pair.

    A unit costs some 5 µs, a label as much, or 30 µs where scores are not 0 or 1. The state does not grow with the
    labels, but for those that wait for the other arm's.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._units = [0] * len(plan.weights)
        self._labels = [0] * len(plan.weights)
        self._scores = [0.0] * len(plan.weights)
        self._ratio = self._ratio_peak = self._parity = self._parity_peak = 0.0
        self._contests = {arm: Contest(plan, arm) for arm in plan.challengers}
        self._shares = self._running_shares()

    def assign(self, arm: int, bad: Mapping[str, bool] | None = None) -> None:
        """One more unit was assigned to `arm`, and whether its answer was bad by each guardrail of the plan.

        An answer that failed counts as well as any other. What comes of a withdrawn arm is ignored. ValueError, and
        nothing is changed, for a guardrail that is not told of.
        """
        bad = bad or {}
        if any(guardrail.name not in bad for guardrail in self.plan.guardrails):
            raise ValueError("every guardrail is told of every answer")
        if not self._is_running(arm):
            return
        self._ratio += self._gain(self._units, arm)
        self._ratio_peak = max(self._ratio_peak, self._ratio)
        self._units[arm] += 1
        if self.plan.guardrails:
            for contest, side in self._sides(arm):
                contest.watch(side, bad)

    def advance(self, arm: int, score: float) -> None:
        """One more unit of `arm` has its first label: a score in [0, 1], higher is better (`metrics`).

        What comes of a withdrawn arm is ignored. ValueError, and nothing is changed, for any other number, and for one
        between 0 and 1 if the plan says that scores are binary.
        """
        if not 0.0 <= score <= 1.0 or (self.plan.is_binary and score not in (0.0, 1.0)):
            raise ValueError(f"a score is {'0 or 1' if self.plan.is_binary else 'within [0, 1]'}, and not {score}")
        if not self._is_running(arm):
            return
        self._parity += self._gain(self._labels, arm)
        self._parity_peak = max(self._parity_peak, self._parity)
        self._labels[arm] += 1
        self._scores[arm] += score
        for contest, side in self._sides(arm):
            contest.advance(side, float(score))

    def withdraw(self, arm: int) -> None:
        """Challenger `arm` is out of the test from now on; the others keep their shares in proportion."""
        self._contests[arm].is_withdrawn = True
        self._shares = self._running_shares()
        # As if it had never been there: without it the others' counts come with their shares in proportion.
        shares = list(self._shares.values())
        self._ratio = float(ratios.log_evidence([self._units[other] for other in self._shares], shares))
        self._parity = float(ratios.log_evidence([self._labels[other] for other in self._shares], shares))

    def decision(self, elapsed_s: float, *, is_stopped: bool = False) -> Decision:
        """What the rule says now, `elapsed_s` seconds after the start."""
        return decisions.decide(self.plan, self.totals(elapsed_s), is_stopped=is_stopped)

    def totals(self, elapsed_s: float) -> Totals:
        """What the rule looks at."""
        return Totals(
            elapsed_s=elapsed_s,
            labels=tuple(self._labels),
            units=tuple(self._units),
            log_sample_ratio_peak=self._ratio_peak,
            log_label_parity_peak=self._parity_peak,
            contests=tuple(contest.totals() for contest in self._contests.values()),
        )

    def mean_scores(self) -> list[float | None]:
        """The mean score of each arm's labelled answers, None without any. Nothing is decided by these: see `point`."""
        return [score / labels if labels else None for score, labels in zip(self._scores, self._labels, strict=True)]

    def watched(self, arm: int) -> list[Watched]:
        """By how much challenger `arm` is worse than the champion in each guardrail of the plan, in their order."""
        return self._contests[arm].watched()

    def point(self, arm: int) -> Point:
        """Where challenger `arm` stands. It costs some milliseconds."""
        contest = self._contests[arm]
        pairs = contest.totals().pairs
        return Point(sum(self._labels), pairs, contest.log_evidence(), contest.mean(), contest.band())

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, without the plan; `restored` goes on from it."""
        return {
            "units": list(self._units),
            "labels": list(self._labels),
            "scores": list(self._scores),
            "ratio": [self._ratio, self._ratio_peak],
            "parity": [self._parity, self._parity_peak],
            "contests": [contest.state() for contest in self._contests.values()],
        }

    @classmethod
    def restored(cls, plan: Plan, state: Mapping[str, Any]) -> Course:
        """The course of `plan` that had this `state`."""
        course = cls(plan)
        course._units, course._labels = list(state["units"]), list(state["labels"])
        course._scores = list(state["scores"])
        course._ratio, course._ratio_peak = state["ratio"]
        course._parity, course._parity_peak = state["parity"]
        for contest, kept in zip(course._contests.values(), state["contests"], strict=True):
            contest.restore(kept)
        course._shares = course._running_shares()
        return course

    def _running_shares(self) -> dict[int, float]:
        withdrawn = {arm for arm, contest in self._contests.items() if contest.is_withdrawn}
        weights = {arm: weight for arm, weight in enumerate(self.plan.weights) if arm not in withdrawn}
        return {arm: weight / sum(weights.values()) for arm, weight in weights.items()}

    def _is_running(self, arm: int) -> bool:
        if not 0 <= arm < len(self.plan.weights):
            raise ValueError(f"there is no arm {arm}")
        return arm in self._shares

    def _sides(self, arm: int) -> list[tuple[Contest, int]]:
        """The contests that an event of `arm` belongs to, and on which side."""
        if arm:
            return [(self._contests[arm], CHALLENGER)]
        return [(contest, CHAMPION) for contest in self._contests.values() if not contest.is_withdrawn]

    def _gain(self, counts: list[int], arm: int) -> float:
        return ratios.log_gain(counts[arm], sum(counts[other] for other in self._shares), self._shares[arm])
