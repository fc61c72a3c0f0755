"""Reliability: whether of what is said with a chance of 70 %, 70 % comes true.

A table of 20 bins of equal width (Murphy & Winkler 1977; the expected calibration error of Naeini, Cooper & Hauskrecht
2015). With two labels the chance is that of the second, the positive one; with more, that of the label predicted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.stats import intervals
from ml_pipeline.stats.totals import Counts, Floats

BINS = 20


def placed(chances: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each chance, shape (n,), of `bins` of equal width; 1 is in the last."""
    return np.minimum((chances * bins).astype(np.int64), bins - 1)


def counted(chances: Floats, came_true: NDArray[np.bool_]) -> tuple[Counts, Floats, Counts]:
    """In each bin the rows, the sum of their chances, and how many came true; both arguments of shape (n,)."""
    places = placed(chances, BINS)
    sums = np.asarray(np.bincount(places, chances, BINS), dtype=np.float64)
    return np.bincount(places, minlength=BINS), sums, np.bincount(places[came_true], minlength=BINS)


def table(rows: Counts, sums: Floats, came_true: Counts) -> dict[str, Any] | None:
    """`error`, the mean distance between chance and rate, weighted by rows, and `bins`; None without rows.

    A bin has `low` and `high`, its ends; `rows`; `chance`, the mean that was said; `rate`, the share that came true
    with its interval. Bins without rows are left out.
    """
    total = int(rows.sum())
    if not total:
        return None
    bins = [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "rows": int(rows[place]),
            "chance": float(sums[place] / rows[place]),
            "rate": intervals.proportion(int(came_true[place]), int(rows[place])),
        }
        for place in np.flatnonzero(rows).tolist()
    ]
    return {"error": float(np.abs(sums - came_true).sum() / total), "bins": bins}
