"""Rankings: the area under the ROC curve, from histograms of scores.

Scores in one bin count as ties, half a pair each; so the area is off by at most half the share of pairs that meet in
one bin. Its variance is that of DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two or more correlated
receiver operating characteristic curves", which from a histogram takes no pairs to compare.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ml_pipeline.stats import intervals
from ml_pipeline.stats.intervals import Interval
from ml_pipeline.stats.totals import Counts, Floats


class Area(NamedTuple):
    """The area and its interval, which leaves the binning out; `error` is how far off the binning can make it."""

    roc_auc: Interval
    error: float


def area(negatives: Counts, positives: Counts) -> Area | None:
    """The area for scores counted in bins, in rising order, each of shape (bins,); None if either has none."""
    n, p = int(negatives.sum()), int(positives.sum())
    if not n or not p:
        return None
    # How often a positive of each bin is above a negative, and a negative below a positive.
    above = (np.cumsum(negatives) - negatives / 2) / n
    below = (p - np.cumsum(positives) + positives / 2) / p
    value = min(max(float(positives @ above) / p, 0.0), 1.0)
    error = float(positives.astype(np.float64) @ negatives) / (2 * n * p)
    few = min(n, p)
    # No area has a larger variance than this, and of one row none can be seen (Newcombe 2006).
    most = value * (1 - value) / few
    variance = most if few < 2 else min(_spread(positives, above) + _spread(negatives, below), most)
    return Area(intervals.within_one(value, variance, few), error)


def _spread(counts: Counts, values: Floats) -> float:
    rows = int(counts.sum())
    mean = float(counts @ values) / rows
    return float(counts @ (values - mean) ** 2) / (rows - 1) / rows
