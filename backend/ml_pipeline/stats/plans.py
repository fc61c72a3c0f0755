"""Plans: what is fixed before a test starts. Whoever changes it starts another test, with an α of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml_pipeline.stats.pairing import block_sizes


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A share of bad answers, failed or slow ones for instance, that may exceed the champion's by `margin`.

    It alarms in a harmless arm with probability `alpha` at most. ValueError for numbers that mean nothing.
    """

    name: str
    margin: float
    alpha: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1 or not 0 < self.alpha < 1:
            raise ValueError("a guardrail's margin is 0 or more and below 1, and its alpha between 0 and 1")

    @property
    def bound(self) -> float:
        """The log evidence at which it alarms."""
        return -math.log(self.alpha)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a test promises. Arm 0 is the champion; all others are challengers.

    `weights`: the share of each arm, in proportion. `is_binary`: scores are 0 or 1. `alpha`: how probable it may be
    that any challenger is promoted that is not better by more than `margin`, a difference of scores; below 0 it allows
    to be a little worse. `harm_alpha`: how probable it may be, for each challenger, that it is taken away although it
    is no worse than 0 or that margin. Labels are counted over all arms, times are in seconds since the start; None is
    no maximum. ValueError for what contradicts itself.
    """

    weights: tuple[float, ...] = (0.5, 0.5)
    is_binary: bool = True
    alpha: float = 0.05
    harm_alpha: float = 0.01
    margin: float = 0.0
    min_labels: int = 0
    max_labels: int | None = None
    min_time_s: float = 0.0
    max_time_s: float | None = None
    guardrails: tuple[Guardrail, ...] = ()

    def __post_init__(self) -> None:
        if len(self.weights) < 2 or not all(0 < weight < math.inf for weight in self.weights):
            raise ValueError("a test has two arms or more, and each has a weight above 0")
        if not 0 < self.alpha < 1 or not 0 < self.harm_alpha < 1:
            raise ValueError("alpha and harm_alpha lie between 0 and 1")
        if not -1 < self.margin < 1:
            raise ValueError("a margin lies between -1 and 1")
        if self.min_labels < 0 or (self.max_labels is not None and self.max_labels < max(self.min_labels, 1)):
            raise ValueError("min_labels is 0 or more, and max_labels is neither 0 nor less than that")
        if self.min_time_s < 0 or (self.max_time_s is not None and self.max_time_s < self.min_time_s):
            raise ValueError("min_time_s is 0 or more, and max_time_s is not less")
        if len({guardrail.name for guardrail in self.guardrails}) < len(self.guardrails):
            raise ValueError("no two guardrails have one name")
        for arm in self.challengers:
            # Refuses a share that is too small beside the champion's.
            self.block_sizes(arm)

    @property
    def challengers(self) -> range:
        """The numbers of the arms that are not the champion."""
        return range(1, len(self.weights))

    @property
    def evidence_bound(self) -> float:
        """The log evidence that promotes: that of α shared among the challengers (Bonferroni)."""
        return math.log(len(self.challengers) / self.alpha)

    @property
    def harm_bound(self) -> float:
        """The log evidence that takes a challenger away."""
        return -math.log(self.harm_alpha)

    @property
    def harm_margin(self) -> float:
        """Whoever is below it is harmful: 0, or the margin where that is lower."""
        return min(self.margin, 0.0)

    def block_sizes(self, arm: int) -> tuple[int, int]:
        """How many outcomes of the champion and of challenger `arm` make one difference."""
        return block_sizes(self.weights[0], self.weights[arm])

    def is_by_pairs(self, arm: int) -> bool:
        """Whether wins and losses are all that counts, so that McNemar's test serves; else bounded differences do."""
        return self.is_binary and self.margin == 0 and self.block_sizes(arm) == (1, 1)
