"""Tallies: a test's course with what a certificate proves it by; told of units and labels in their order.

Counting goes on from where a tally stood, verification begins with an empty one: told the same, both say the same.
Knows no database.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, Self

from ml_pipeline.apps.abtests.terms import Terms
from ml_pipeline.stats.courses import Course

# A path has a point every so many labels; of long tests each 20th part of those before, so that it stays short.
STEP_LABELS, STEP_PART = 20, 20


class PathPoint(NamedTuple):
    """Where challenger `arm` stood after `labels` labels of all arms; `low` and `high` are its band."""

    arm: int
    labels: int
    pairs: int
    log_evidence: float
    mean: float | None
    low: float
    high: float


class Tally:
    """What has come of a test so far; `points` are those that were added to the paths since it was made."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.course = terms, Course(terms.plan)
        self.units = self.observations = self.labels = self.last_point = 0
        self.units_digest = self.observations_digest = ""
        self.withdrawn: set[int] = set()
        self.points: list[PathPoint] = []

    @classmethod
    def restored(cls, terms: Terms, state: dict[str, Any], **counts: Any) -> Self:
        """The tally of `terms` whose course had this `state`; `counts` are the other attributes of it."""
        tally = cls(terms)
        tally.course = Course.restored(terms.plan, state)
        tally.labels = sum(state["labels"])
        tally.withdrawn = {arm for arm, one in enumerate(state["contests"], 1) if one["is_withdrawn"]}
        for name, value in counts.items():
            setattr(tally, name, value)
        return tally

    def assign(self, digest: str, arm: int, *, is_failed: bool, latency_us: int) -> None:
        """One more unit, and how its first answer was."""
        self.course.assign(arm, self.terms.bad(is_failed, latency_us))
        self.units += 1
        self.units_digest = _chained(self.units_digest, digest, arm, int(is_failed), latency_us)

    def advance(self, digest: str, arm: int, request_id: object, score: float) -> None:
        """One more unit has its observation."""
        self.course.advance(arm, score)
        self.observations += 1
        self.observations_digest = _chained(self.observations_digest, digest, arm, request_id, repr(float(score)))
        if arm not in self.withdrawn:
            self.labels += 1
        if self.labels >= self.last_point + max(STEP_LABELS, self.last_point // STEP_PART):
            self.mark()

    def withdraw(self, arm: int) -> None:
        """Challenger `arm` is out from now on."""
        self.mark()
        self.course.withdraw(arm)
        self.withdrawn.add(arm)

    def mark(self) -> None:
        """The paths have a point for what is known now."""
        if self.last_point == self.labels:
            return
        self.last_point = self.labels
        self.points += [
            point for arm in self.terms.plan.challengers if arm not in self.withdrawn for point in [self.at(arm)]
        ]

    def at(self, arm: int) -> PathPoint:
        """Where challenger `arm` stands."""
        now = self.course.point(arm)
        return PathPoint(arm, now.labels, now.pairs, now.log_evidence, now.mean, now.band.low, now.band.high)


def _chained(before: str, *facts: object) -> str:
    return hashlib.sha256(":".join(map(str, (before, *facts))).encode()).hexdigest()
