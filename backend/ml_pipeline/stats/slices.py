"""Slices: whether an algorithm is as right in one part of its rows as in all others.

Each slice with rows is compared with the rest: shares by the two-proportion z-test with pooled variance, Pearson's χ²
without correction for continuity, or where a cell of the table expects fewer than five by Fisher's exact test (Cochran
1954, "Some methods for strengthening the common χ² tests"); means by Welch's t-test (1947). As many comparisons are
made as there are slices, one where there are two: p is multiplied by that number (Bonferroni; Dunn 1961, "Multiple
comparisons among means"), and the intervals of the differences hold for all of them at once with 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ml_pipeline.stats import intervals
from ml_pipeline.stats.intervals import Interval

# Rows, the sum of their values, and that of the squares.
_Sums: TypeAlias = tuple[int, float, float]
ALPHA = 0.05
# Below it the normal distribution says little of a count.
_LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """One slice beside all others: the share or mean of either, and their difference, `own` - `others`.

    `p` is that of no difference, `q` the same for all comparisons.
    """

    rows: int
    own: float
    others: float
    difference: Interval
    p: float
    q: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether slices that are alike differ so in one of twenty features at most."""
        return self.q <= ALPHA


def shares(rows: ArrayLike, hits: ArrayLike) -> list[Comparison | None]:
    """The comparison of each slice's share of `hits` in `rows`, both of shape (k,); None without rows here or there."""
    n, x = np.asarray(rows, dtype=np.int64).tolist(), np.asarray(hits, dtype=np.int64).tolist()
    tests = comparisons(n)
    return [
        _of_shares(here, part, sum(n) - here, sum(x) - part, tests) if 0 < here < sum(n) else None
        for here, part in zip(n, x, strict=True)
    ]


def means(rows: ArrayLike, sums: ArrayLike, squares: ArrayLike) -> list[Comparison | None]:
    """The same of means, from sums and sums of squares. None where sums overflowed, too."""
    n = np.asarray(rows, dtype=np.int64).tolist()
    total = np.stack([np.asarray(sums, dtype=np.float64), np.asarray(squares, dtype=np.float64)])
    tests = comparisons(n)
    if not np.isfinite(total).all():
        return [None] * len(n)
    everything = total.sum(axis=1)
    found: list[Comparison | None] = []
    for place, here in enumerate(n):
        if not 0 < here < sum(n):
            found.append(None)
            continue
        own, rest = total[:, place], everything - total[:, place]
        beside = (sum(n) - here, float(rest[0]), float(rest[1]))
        found.append(_of_means((here, float(own[0]), float(own[1])), beside, tests))
    return found


def largest(found: Sequence[Comparison | None], *, is_more_worse: bool = False) -> int | None:
    """The place of the slice farthest from the others, of those beyond chance where there are any.

    Of two as far the worse one: the smaller share, or the greater mean where `is_more_worse`. None without any.
    """

    ranks = {
        place: (one.is_beyond_chance, abs(one.own - one.others), (one.own > one.others) == is_more_worse)
        for place, one in enumerate(found)
        if one is not None
    }
    return max(ranks, key=lambda place: ranks[place], default=None)


def comparisons(rows: ArrayLike) -> int:
    """How many comparisons are made of slices with so many rows."""
    filled = int((np.asarray(rows) > 0).sum())
    # Of two slices each is the other's rest.
    return filled if filled > 2 else filled // 2


def _of_shares(n: int, x: int, m: int, y: int, tests: int) -> Comparison:
    a, b = x / n, y / m
    z = float(special.ndtri(1 - ALPHA / (2 * tests)))
    here, there = intervals.proportion(x, n, z=z) or {}, intervals.proportion(y, m, z=z) or {}
    p = _p_of_shares(n, x, m, y)
    return Comparison(n, a, b, _newcombe(a, here, b, there), p, min(p * tests, 1.0))


def _newcombe(a: float, here: Interval, b: float, there: Interval) -> Interval:
    """a - b by the hybrid of two score intervals (Newcombe 1998, "Interval estimation for the difference between
    independent proportions", method 10)."""
    low = math.hypot(a - (here["low"] or 0.0), (there["high"] or 0.0) - b)
    high = math.hypot((here["high"] or 0.0) - a, b - (there["low"] or 0.0))
    return {"value": a - b, "low": a - b - low, "high": a - b + high}


def _p_of_shares(n: int, x: int, m: int, y: int) -> float:
    share = (x + y) / (n + m)
    if share in {0.0, 1.0}:
        return 1.0
    if min(n, m) * min(share, 1 - share) < _LEAST_EXPECTED:
        # Half a second, which most processes never need.
        from scipy import stats

        return float(stats.fisher_exact([[x, n - x], [y, m - y]])[1])
    z = (x / n - y / m) / math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return float(2 * special.ndtr(-abs(z)))


def _of_means(own: _Sums, rest: _Sums, tests: int) -> Comparison:
    n, m = own[0], rest[0]
    a, b = own[1] / n, rest[1] / m
    if n < 2 or m < 2:
        return Comparison(n, a, b, {"value": a - b, "low": None, "high": None}, 1.0, 1.0)
    here, there = intervals.error_of_mean(*own) ** 2, intervals.error_of_mean(*rest) ** 2
    error = math.sqrt(here + there)
    if error == 0:
        p = 1.0 if a == b else 0.0
        return Comparison(n, a, b, {"value": a - b, "low": a - b, "high": a - b}, p, p)
    # Welch-Satterthwaite.
    freedom = (here + there) ** 2 / (here**2 / (n - 1) + there**2 / (m - 1))
    p = float(2 * special.stdtr(freedom, -abs(a - b) / error))
    half = float(special.stdtrit(freedom, 1 - ALPHA / (2 * tests))) * error
    return Comparison(n, a, b, {"value": a - b, "low": a - b - half, "high": a - b + half}, p, min(p * tests, 1.0))
