"""Confusions: precision, recall and F1 of each label, and their means, from the table of true and predicted labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_pipeline.stats import intervals
from ml_pipeline.stats.intervals import Interval
from ml_pipeline.stats.totals import Counts, Floats


def metrics(confusion: Counts) -> dict[str, Any]:
    """`labels`, a list in their order, and `macro`, of a table [true][predicted] of shape (K, K).

    Each has `precision`, `recall` and `f1`; a label also `true` and `predicted`, its rows. As in the reference
    metrics None stands for what is not defined: precision of a label never predicted, recall of one never true, F1 of
    one that is neither. Means leave these out.
    """
    hits = np.diagonal(confusion).astype(np.float64)
    said, true = confusion.sum(axis=0), confusion.sum(axis=1)
    labels = [
        {
            "true": int(true[place]),
            "predicted": int(said[place]),
            "precision": intervals.proportion(int(hits[place]), int(said[place])),
            "recall": intervals.proportion(int(hits[place]), int(true[place])),
            "f1": _f1(int(hits[place]), int(said[place] + true[place])),
        }
        for place in range(len(confusion))
    ]
    macro = {
        "precision": _mean(confusion, hits, said, over_said=1.0, over_true=0.0),
        "recall": _mean(confusion, hits, true, over_said=0.0, over_true=1.0),
        "f1": _mean(confusion, hits, (said + true) / 2, over_said=0.5, over_true=0.5),
    }
    return {"labels": labels, "macro": macro}


def _f1(hits: int, total: int) -> Interval | None:
    """F1 = 2s/(1 + s), s being the share of hits in what is true, predicted or both (Jaccard's index).

    A function that only rises takes Wilson's interval of s to that of F1. Where that is narrow it is the delta
    method's, and it is right near 0 and 1 as well.
    """
    share = intervals.proportion(hits, total - hits)
    if share is None:
        return None
    return {name: None if at is None else 2 * at / (1 + at) for name, at in share.items()}


def _mean(
    confusion: Counts, hits: Floats, of: Floats | Counts, *, over_said: float, over_true: float
) -> Interval | None:
    """The mean over labels of hits/of, with `of` = over_said·predicted + over_true·true.

    Its variance by the delta method for multinomial counts (Takahashi et al. 2022, "Confidence interval for
    micro-averaged F1 and macro-averaged F1 scores"): that of the mean of what each row adds to the figure.
    """
    is_defined = of > 0
    if not is_defined.any():
        return None
    rates = np.divide(hits, of, out=np.zeros_like(hits), where=is_defined)
    scale = np.divide(1.0, of, out=np.zeros_like(hits), where=is_defined) / is_defined.sum()
    # What one more row of each cell does to the mean, times the number of rows.
    slopes = np.diag(scale) - (over_said * rates * scale)[None, :] - (over_true * rates * scale)[:, None]
    value = min(float(rates.sum() / is_defined.sum()), 1.0)
    # Each slope times its rows adds up to 0.
    variance = float((confusion * slopes**2).sum())
    return intervals.within_one(value, variance, int(confusion.sum()))
