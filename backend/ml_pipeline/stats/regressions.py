"""Regressions: how far predicted values are from the true ones, as sums that add up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml_pipeline.stats import intervals, totals
from ml_pipeline.stats.intervals import Interval
from ml_pipeline.stats.totals import Floats

# Sums of powers up to the fourth of the true values, and up to the second of them times the squared errors.
_POWERS, _WEIGHTED = 5, 3
_CHOICES = np.array([[math.comb(k, j) for j in range(_POWERS)] for k in range(_POWERS)], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Regression:
    """Sums over `rows`; `errors` has those of |e|, e² and e⁴ with e = predicted - true.

    `powers` has the sums of (y - center)^k for k = 0 to 4, `weighted` those of e²·(y - center)^k for k = 0 to 2, with
    `center` the mean of the true values y: sums of y and y² alone forget what is small beside the mean. `low` and
    `high` are the least and the greatest y, None without rows.
    """

    rows: int
    errors: Floats
    center: float
    powers: Floats
    weighted: Floats
    low: float | None
    high: float | None

    @classmethod
    def zero(cls) -> Regression:
        """No rows."""
        return cls(0, np.zeros(3), 0.0, np.zeros(_POWERS), np.zeros(_WEIGHTED), None, None)

    @classmethod
    def of(cls, true: ArrayLike, predicted: ArrayLike) -> Regression:
        """The totals of n rows, both arguments of shape (n,). Rows where either is no finite number are left out."""
        y, said = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        is_known = np.isfinite(y) & np.isfinite(said)
        y, said = y[is_known], said[is_known]
        if not len(y):
            return cls.zero()
        # Squares of the greatest floats are infinite; what is made of these is not defined, and the rest is.
        with np.errstate(over="ignore", invalid="ignore"):
            errors = np.abs(said - y)
            center = float(y.mean())
            powers = (y - center) ** np.arange(_POWERS)[:, None]
            sums = np.array([errors.sum(), (errors**2).sum(), (errors**4).sum()])
            weighted = powers[:_WEIGHTED] @ errors**2
            return cls(len(y), sums, center, powers.sum(axis=1), weighted, float(y.min()), float(y.max()))

    def __add__(self, other: Regression) -> Regression:
        return _summed([self, other])

    def metrics(self) -> dict[str, Any]:
        """`rows` and `mae`, `rmse`, `r2`, each with its interval; None where it is not defined or has overflowed.

        `r2` is not defined where all true values are one. The interval of `mae` is Student's; those of `rmse` and
        `r2`, a root and a quotient of means, come by the delta method.
        """
        if not self.rows:
            return {"rows": 0, "mae": None, "rmse": None, "r2": None}
        absolute, square, fourth = self.errors.tolist()
        mae = intervals.mean(self.rows, absolute, square, lowest=0.0)
        return {
            "rows": self.rows,
            "mae": None if mae["value"] is None else mae,
            "rmse": self._rmse(square, fourth),
            "r2": self._r2() if self.low != self.high else None,
        }

    def _rmse(self, square: float, fourth: float) -> Interval | None:
        if not math.isfinite(square):
            return None
        value = math.sqrt(square / self.rows)
        if self.rows < 2 or not math.isfinite(fourth):
            return {"value": value, "low": None, "high": None}
        error = intervals.error_of_mean(self.rows, square, fourth) / (2 * value) if value else 0.0
        return intervals.around(value, error, lowest=0.0)

    def _r2(self) -> Interval | None:
        """1 - Σe²/Σ(y - ȳ)²; each row moves it by e² - (1 - r2)(y - ȳ)², of which the sum is 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            powers, weighted = _moved(self.powers, self.powers[1] / self.rows), self.weighted
            if not powers[2] > 0:
                return None
            share = weighted[0] / powers[2]
            squares = self.errors[2] - 2 * share * weighted[2] + share**2 * powers[4]
            error = math.sqrt(max(squares, 0.0)) / powers[2]
        value = 1 - float(share)
        if not math.isfinite(value):
            return None
        if not math.isfinite(error):
            return {"value": value, "low": None, "high": None}
        return intervals.around(value, float(error), highest=1.0)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes them from again; a sum that overflowed is None."""
        return {
            "rows": self.rows,
            "errors": [totals.finite(number) for number in self.errors],
            "center": totals.finite(self.center),
            "powers": [totals.finite(number) for number in self.powers],
            "weighted": [totals.finite(number) for number in self.weighted],
            "range": [self.low, self.high],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Regression:
        """The totals of which `to_json` gave this document."""
        return cls(
            document["rows"],
            totals.numbers(document["errors"]),
            totals.number(document["center"]),
            totals.numbers(document["powers"]),
            totals.numbers(document["weighted"]),
            *document["range"],
        )

    @classmethod
    def summed(cls, documents: Iterable[dict[str, Any]]) -> Regression:
        """The sum of many documents of `to_json`, quicker than one by one."""
        return _summed([cls.from_json(document) for document in documents])


def _summed(parts: Sequence[Regression]) -> Regression:
    parts = [part for part in parts if part.rows]
    if len(parts) < 2:
        return parts[0] if parts else Regression.zero()
    rows = sum(part.rows for part in parts)
    centers = np.array([part.center for part in parts])
    first = centers[0]
    with np.errstate(over="ignore", invalid="ignore"):
        # The mean of means, beside the first of them for the sake of the digits.
        center = first + sum((part.center - first) * (part.rows / rows) for part in parts)
        moves = center - centers
        return Regression(
            rows,
            np.sum([part.errors for part in parts], axis=0),
            float(center),
            _moved(np.array([part.powers for part in parts]), moves).sum(axis=0),
            _moved(np.array([part.weighted for part in parts]), moves).sum(axis=0),
            min(part.low for part in parts if part.low is not None),
            max(part.high for part in parts if part.high is not None),
        )


def _moved(sums: Floats, moves: Floats) -> Floats:
    """Sums of (y - c)^k, k along the last axis, become those of (y - c - move)^k, by the binomial theorem."""
    size = sums.shape[-1]
    k, j = np.indices((size, size))
    steps = np.asarray(-moves)[..., None, None] ** np.where(k >= j, k - j, 0) * _CHOICES[:size, :size]
    # Of a sum that overflowed nothing is left, but those of lower powers do not hang on it.
    steps = np.where(k >= j, steps, 0.0)
    return np.asarray(np.where(steps == 0.0, 0.0, steps * sums[..., None, :]).sum(axis=-1))
