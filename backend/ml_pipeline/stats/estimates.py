"""Estimates: how right answers are expected to be before their true outcomes are known.

Confidence-based performance estimation (Kivimäki et al. 2025, "Confidence-based estimators for predictive performance
in model monitoring", JAIR 82): each answer is right with the probability that its calibrated confidence says, and
accuracy is the mean of these. It sees what other inputs do to accuracy. It is blind to a change of what is true of an
input (concept drift): it is shown as an estimate, and nothing acts on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml_pipeline.stats import intervals, totals


@dataclass(frozen=True, eq=False)
class Estimate(totals.Totals):
    """The sum of calibrated confidences over `rows`, and the sum of their squares."""

    rows: int
    sum: float
    squares: float

    @classmethod
    def zero(cls) -> Estimate:
        """No rows."""
        return cls(0, 0.0, 0.0)

    @classmethod
    def of(cls, calibrated: ArrayLike) -> Estimate:
        """That of n answers: the probability that each is right, shape (n,). NaN is an answer without a confidence and
        not counted."""
        given = np.asarray(calibrated, dtype=np.float64)
        chances = np.clip(given[~np.isnan(given)], 0.0, 1.0)
        return cls(len(chances), float(chances.sum()), float(chances @ chances))

    def metrics(self, reference: float | None = None) -> dict[str, Any]:
        """`rows`, `accuracy`, and by how much that differs from `reference`, the accuracy on the reference rows.

        The interval is that of the accuracy that these very rows will turn out to have, if the calibration still
        holds: a sum of independent answers, each right with chance c, has the variance Σ c(1 - c). `accuracy` and
        `change` are None without rows, `change` without a reference.
        """
        accuracy = change = None
        if self.rows:
            mean = min(self.sum / self.rows, 1.0)
            variance = max(self.sum - self.squares, 0.0) / self.rows**2
            accuracy = intervals.within_one(mean, variance, self.rows)
        if accuracy is not None and reference is not None:
            change = {name: None if at is None else at - reference for name, at in accuracy.items()}
        return {"rows": self.rows, "accuracy": accuracy, "reference": reference, "change": change}

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes it from again."""
        return {"rows": self.rows, "sum": self.sum, "squares": self.squares}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Estimate:
        """The estimate of which `to_json` gave this document."""
        return cls.summed([document])

    @classmethod
    def summed(cls, documents: Iterable[dict[str, Any]]) -> Estimate:
        """The sum of many documents of `to_json`."""
        parts = list(documents)
        return cls(*(sum(part[name] for part in parts) for name in ("rows", "sum", "squares")))
