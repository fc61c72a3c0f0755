"""Scales: what a metric means in words, and what a score or a difference of scores is in the metric's own unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_pipeline.charts import figures

_LOG_BEST, _LOG_WORST = math.log(100 / 99), math.log(100)


@dataclass(frozen=True, slots=True)
class Scale:
    """`best` and `worst` are what the scores 1 and 0 stand for. `frame` takes an amount and makes a sentence of it,
    `more` and `less` are the words for better and worse.
    """

    title: str
    meaning: str
    worst: float
    best: float
    frame: str
    more: str
    less: str
    axis: str
    suffix: str = ""

    @property
    def factor(self) -> float:
        """What a difference of scores is multiplied by; it stays positive where the challenger is better."""
        return abs(self.best - self.worst)

    def value(self, score: float) -> str:
        """A mean score in the metric's unit."""
        value = self.worst + (self.best - self.worst) * score
        return figures.number(value, figures.places(self.factor / 100)) + self.suffix

    def difference(self, of_scores: float, digits: int) -> str:
        """A difference of scores with its sign, in the metric's unit."""
        return figures.signed(of_scores * self.factor, digits)

    def digits(self, low: float, high: float) -> int:
        """The decimal places that a band deserves: two digits of its width, and more where an end would read as 0."""
        found = figures.places((high - low) * self.factor)
        near = min(abs(low), abs(high)) * self.factor
        return max(found, min(figures.places(10 * near), found + 2)) if near else found

    def amount(self, of_scores: float, digits: int) -> str:
        """A difference in words: "1.2 fewer"."""
        word = self.less if of_scores < 0 else self.more
        return f"{figures.number(abs(of_scores) * self.factor, digits)} {word}"

    def between(self, low: float, high: float) -> str:
        """A band in words: "between 1.2 fewer and 3.4 more", "between 0.4 and 3.6 more"."""
        digits = self.digits(low, high)
        if low < 0 < high:
            return f"between {self.amount(low, digits)} and {self.amount(high, digits)}"
        near, far = sorted((low, high), key=abs)
        return f"between {figures.number(abs(near) * self.factor, digits)} and {self.amount(far, digits)}"

    def sentence(self, mean: float, low: float, high: float) -> str:
        """The difference, which is never told without its band."""
        about = f"about {self.amount(mean, self.digits(low, high))}"
        if low < 0 < high:
            return f"{self.frame.format(about)}; the data still allow everything {self.between(low, high)}"
        return self.frame.format(f"{about} ({self.between(low, high)})")

    def allowed(self, low: float, high: float) -> str:
        """The largest difference, either way, within a band."""
        digits = self.digits(low, high)
        if low <= -1 and high >= 1:
            return "every difference is still possible"
        if low >= 0 or high <= 0:
            return self.frame.format(self.between(low, high))
        return self.frame.format(f"either up to {self.amount(low, digits)} or up to {self.amount(high, digits)}")


def of(metric: Mapping[str, Any]) -> Scale:
    """The scale of a metric, as the test's row has it."""
    return _OF[metric["name"]](metric)


def _accuracy(_: Mapping[str, Any]) -> Scale:
    return Scale(
        "Right answers",
        "The share of answers whose label was right (accuracy). More is better.",
        0.0,
        100.0,
        "of every 100 answers {} are right",
        "more",
        "fewer",
        "right answers of 100",
        " %",
    )


def _brier(_: Mapping[str, Any]) -> Scale:
    meaning = (
        "How far the predicted probabilities are from what came true: half the sum of their squared distances (Brier "
        "score). 0 is perfect, 1 is the worst; less is better."
    )
    return Scale("Brier score", meaning, 1.0, 0.0, "the Brier score is {}", "lower", "higher", "Brier score")


def _log_loss(_: Mapping[str, Any]) -> Scale:
    meaning = (
        "How surprised an algorithm is by what comes true: the negative natural logarithm of the probability that it "
        "gave to it (log-loss), probabilities being taken as 0.01 at least and 0.99 at most. Less is better."
    )
    return Scale("Log-loss", meaning, _LOG_WORST, _LOG_BEST, "the log-loss is {}", "lower", "higher", "log-loss")


def _absolute_error(metric: Mapping[str, Any]) -> Scale:
    meaning = (
        "How far answers are from the true values, in the unit of these (absolute error). Less is better. An error"
    )
    return _error("absolute error", meaning, metric["cap"])


def _squared_error(metric: Mapping[str, Any]) -> Scale:
    meaning = (
        "The square of how far answers are from the true values, in the square of their unit (squared error). Less is "
        "better. A square"
    )
    return _error("squared error", meaning, metric["cap"])


def _error(name: str, meaning: str, cap: float) -> Scale:
    shown = figures.plain(cap)
    capped = f"{meaning} of {shown} or more counts as {shown}."
    return Scale(f"Mean {name}", capped, cap, 0.0, f"the mean {name} is {{}}", "lower", "higher", name)


def _reward(metric: Mapping[str, Any]) -> Scale:
    low, high = metric["low"], metric["high"]
    meaning = (
        f"The mean of what the feedback says an answer was worth, from {figures.plain(low)} to {figures.plain(high)} "
        "(reward). More is better. An answer that failed counts as the least."
    )
    return Scale("Mean reward", meaning, low, high, "the mean reward is {}", "higher", "lower", "reward")


_OF = {
    "accuracy": _accuracy,
    "brier": _brier,
    "log_loss": _log_loss,
    "absolute_error": _absolute_error,
    "squared_error": _squared_error,
    "reward": _reward,
}
