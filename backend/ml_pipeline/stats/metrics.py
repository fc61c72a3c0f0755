"""Metrics: what one answer was worth once its true outcome is known, as a score in [0, 1]; higher is better.

Scores are bounded whatever an algorithm answers, which the statistics rest on. An arm that gave no answer, or an
answer that is not a number, gets the worst score, 0: an algorithm cannot become better by failing where it is hard.
Without an outcome there is no score: unlabelled answers are not wrong ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NAMES = ("accuracy", "brier", "log_loss", "absolute_error", "squared_error", "reward")
_CAPPED = ("absolute_error", "squared_error")
WORST = 0.0
# Chances are clipped to [0.01, 0.99], so that one sure mistake does not outweigh hundreds of answers.
_SUREST = 0.99


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm answered: a label and the chance of each label, or a value; None for what it did not say."""

    label: str | None = None
    probabilities: Mapping[str, float] | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, frozen before its test starts.

    `name` is one of `NAMES`. `cap` is for the two errors: the loss, in the unit of the error or its square, from
    which on an answer is worth nothing. `low` and `high` are the declared range of a reward. ValueError for what does
    not fit together.
    """

    name: str
    cap: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"a metric is one of {', '.join(NAMES)}, and not {self.name!r}")
        if (self.cap is not None) != (self.name in _CAPPED):
            raise ValueError("a cap is for absolute_error and squared_error, which need one")
        if self.cap is not None and not 0 < self.cap < math.inf:
            raise ValueError("a cap is a number above 0")
        if {self.low is not None, self.high is not None} != {self.name == "reward"}:
            raise ValueError("low and high are for reward, which needs both")
        if self.low is not None and self.high is not None and not 0 < self.high - self.low < math.inf:
            raise ValueError("low and high are numbers, and high is above low by a finite one")

    @property
    def is_binary(self) -> bool:
        """Whether scores are 0 or 1 and nothing between."""
        return self.name == "accuracy"

    def score(self, answer: Answer | None, outcome: str | float | None) -> float | None:
        """What `answer` is worth, in [0, 1]; None without an outcome, 0 without an answer.

        `outcome` is the true label, compared as text; for the errors the true value, for a reward the reward itself,
        which is clipped to its range. ValueError for a value or a reward that is not a finite number.
        """
        if outcome is None:
            return None
        if self.name in (*_CAPPED, "reward"):
            outcome = float(outcome)
            if not math.isfinite(outcome):
                raise ValueError("an outcome is a finite number")
        if answer is None:
            return WORST
        score = self._score(answer, outcome)
        # NaN is neither above 0 nor below.
        return min(score, 1.0) if score > WORST else WORST

    def _score(self, answer: Answer, outcome: str | float) -> float:
        if self.name == "accuracy":
            return float(answer.label is not None and answer.label == str(outcome))
        if self.name == "brier":
            return _brier(answer.probabilities, str(outcome))
        if self.name == "log_loss":
            return _log_loss(answer.probabilities, str(outcome))
        if self.name == "reward":
            assert self.low is not None and self.high is not None  # noqa: S101, PT018  (checked when it was made)
            return (float(outcome) - self.low) / (self.high - self.low)
        assert self.cap is not None  # noqa: S101  (as above)
        error = math.inf if answer.value is None else abs(answer.value - float(outcome))
        loss = error if self.name == "absolute_error" else error * error
        return 1.0 - loss / self.cap


def _brier(probabilities: Mapping[str, float] | None, outcome: str) -> float:
    """1 less half the squared distance to the truth (Brier 1950); with two labels that is 1 - (1 - p of the truth)²."""
    if not probabilities:
        return WORST
    misses = [p - (label == outcome) for label, p in probabilities.items()]
    # Not `** 2`, which raises where a product is infinite.
    squares = sum(miss * miss for miss in misses)
    return 1.0 - (squares + (outcome not in probabilities)) / 2


def _log_loss(probabilities: Mapping[str, float] | None, outcome: str) -> float:
    """How far the log of the truth's chance is up from the worst, log 0.01, to the best, log 0.99: log 99 in all."""
    chances = probabilities or {}
    # Who gives every label a high chance knows no more than who gives none.
    p = chances.get(outcome, 0.0) / max(sum(chances.values()), 1.0)
    if math.isnan(p):
        return WORST
    worst = 1.0 - _SUREST
    return math.log(min(max(p, worst), _SUREST) / worst) / math.log(_SUREST / worst)


def cap_of(losses: ArrayLike) -> float:
    """The cap that a reference suggests: the loss that 99.5 % of its answers do not exceed; `losses` is (n,).

    Where nearly all are 0 it is the largest. ValueError if none is above 0 or one is not a finite number.
    """
    known = np.asarray(losses, dtype=np.float64)
    if not known.size or not np.isfinite(known).all() or not (known > 0).any():
        raise ValueError("a cap needs losses that are finite numbers, one of them above 0")
    return float(np.quantile(known, 0.995)) or float(known.max())
