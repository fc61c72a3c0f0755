"""Classifications: how right predicted labels and their probabilities were, as sums that add up.

Figures are defined as the reference metrics are, and as scikit-learn defines them. Labels go by their places.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml_pipeline.stats import confusions, intervals, rankings, reliability, totals
from ml_pipeline.stats.totals import Counts, Floats

# Of the positive label's probability, for the area under the ROC curve.
SCORE_BINS = 1_000
# scikit-learn clips probabilities so far from 0 and 1 before it takes the logarithm.
_SMALLEST = float(np.finfo(np.float64).eps)
# By how much more or less than 1 probabilities add up to that were rounded to float32.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Classification(totals.Totals):
    """Totals over rows with K labels.

    `confusion` (K, K) counts rows, [true][predicted]. The rest is of the `scored` rows, which had probabilities:
    `losses` has the sums of log-loss, its square, Brier score and its square. With two labels `scores` (2, 1000) is
    the histogram of the second one's probability where the first was true and where the second was; else it is empty.
    `chances`, `chance_sums` and `came_true` are the table of `reliability`.
    """

    confusion: Counts
    scored: int
    losses: Floats
    scores: Counts
    chances: Counts
    chance_sums: Floats
    came_true: Counts

    @classmethod
    def zero(cls, labels: int) -> Classification:
        """No rows of an algorithm with so many labels, 1 or more."""
        empty = np.zeros(reliability.BINS, dtype=np.int64)
        return cls(
            np.zeros((labels, labels), dtype=np.int64),
            0,
            np.zeros(4),
            np.zeros(_shape_of_scores(labels), dtype=np.int64),
            empty,
            np.zeros(reliability.BINS),
            empty,
        )

    @classmethod
    def of(
        cls, true: ArrayLike, predicted: ArrayLike, probabilities: ArrayLike | None = None, *, labels: int
    ) -> Classification:
        """The totals of n rows: places among the `labels` (n,), and probabilities (n, labels).

        Rows whose true or predicted place is none, as -1 is, are left out. A row of probabilities with a NaN counts as
        one without. Probabilities are clipped to [0, 1], and for the losses made to add up to 1 where they are farther
        from it than those of float32 are; scikit-learn takes these as they are.
        """
        true, predicted = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
        is_known = (true >= 0) & (true < labels) & (predicted >= 0) & (predicted < labels)
        confusion = np.bincount(true[is_known] * labels + predicted[is_known], minlength=labels * labels)
        total = cls(confusion.reshape(labels, labels), *list(vars(cls.zero(labels)).values())[1:])
        if probabilities is None:
            return total
        given = np.asarray(probabilities, dtype=np.float64).reshape(len(true), labels)
        is_scored = is_known & ~np.isnan(given).any(axis=1)
        return total + _scored(true[is_scored], predicted[is_scored], np.clip(given[is_scored], 0.0, 1.0))

    def metrics(self) -> dict[str, Any]:
        """All figures, those that people act on as `{"value", "low", "high"}` at 95 %; None for what is not defined.

        `rows`, `accuracy`; `labels`, in their order, and `macro` (see `confusions`); of the `scored` rows `log_loss`,
        `brier`, which is within [0, 1] for any number of labels, `roc_auc` with `roc_auc_error`, by how much it can be
        off (see `rankings`), unless there are two labels and both occur; `calibration` (see `reliability`).
        """
        rows = int(self.confusion.sum())
        area = rankings.area(*self.scores) if len(self.confusion) == 2 else None
        loss, loss_square, brier, brier_square = self.losses.tolist()
        scored = self.scored
        return {
            "rows": rows,
            "accuracy": intervals.proportion(int(np.trace(self.confusion)), rows),
            **confusions.metrics(self.confusion),
            "scored": scored,
            "log_loss": intervals.mean(scored, loss, loss_square, lowest=0.0) if scored else None,
            "brier": intervals.mean(scored, brier, brier_square, lowest=0.0, highest=1.0) if scored else None,
            "roc_auc": area.roc_auc if area else None,
            "roc_auc_error": area.error if area else None,
            "calibration": reliability.table(self.chances, self.chance_sums, self.came_true),
        }

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes them from again."""
        return {
            "confusion": self.confusion.tolist(),
            "scored": self.scored,
            "losses": self.losses.tolist(),
            "scores": [totals.packed(one) for one in self.scores],
            "chances": self.chances.tolist(),
            "chance_sums": self.chance_sums.tolist(),
            "came_true": self.came_true.tolist(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Classification:
        """The totals of which `to_json` gave this document."""
        return cls.summed([document], labels=len(document["confusion"]))

    @classmethod
    def summed(cls, documents: Iterable[dict[str, Any]], *, labels: int) -> Classification:
        """The sum of many documents of `to_json`, quicker than one by one."""
        parts = list(documents)
        if not parts:
            return cls.zero(labels)
        shape = _shape_of_scores(labels)
        scores = [totals.unpacked((part["scores"][true] for part in parts), SCORE_BINS) for true in range(shape[0])]
        return cls(
            np.array([part["confusion"] for part in parts], dtype=np.int64).sum(axis=0),
            sum(part["scored"] for part in parts),
            totals.numbers(part["losses"] for part in parts).sum(axis=0),
            np.array(scores, dtype=np.int64).reshape(shape),
            np.array([part["chances"] for part in parts], dtype=np.int64).sum(axis=0),
            totals.numbers(part["chance_sums"] for part in parts).sum(axis=0),
            np.array([part["came_true"] for part in parts], dtype=np.int64).sum(axis=0),
        )


def _shape_of_scores(labels: int) -> tuple[int, int]:
    return (2, SCORE_BINS) if labels == 2 else (0, SCORE_BINS)


def _scored(true: Counts, predicted: Counts, given: Floats) -> Classification:
    """The totals of rows with probabilities but for their confusion."""
    rows, labels = given.shape
    total = given.sum(axis=1, keepdims=True)
    # What says nothing of any label says the same of all.
    shares = np.divide(given, total, out=np.full_like(given, 1 / labels), where=total > 0)
    shares = np.where(np.abs(total - 1) <= _ROUNDING, given, shares)
    of_true = shares[np.arange(rows), true]
    log_losses = -np.log(np.clip(of_true, _SMALLEST, 1 - _SMALLEST))
    # Half the squared distance to the truth; with two labels that is (p - y)².
    briers = ((shares**2).sum(axis=1) - 2 * of_true + 1) / 2
    scores = np.zeros(_shape_of_scores(labels), dtype=np.int64)
    if labels == 2:
        places = true * SCORE_BINS + reliability.placed(given[:, 1], SCORE_BINS)
        scores = np.bincount(places, minlength=2 * SCORE_BINS).reshape(2, SCORE_BINS)
        said = reliability.counted(given[:, 1], true == 1)
    else:
        said = reliability.counted(given[np.arange(rows), predicted], predicted == true)
    losses = np.array([log_losses.sum(), log_losses @ log_losses, briers.sum(), briers @ briers])
    return Classification(np.zeros((labels, labels), dtype=np.int64), rows, losses, scores, *said)
