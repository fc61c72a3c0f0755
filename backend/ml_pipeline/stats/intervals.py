"""Intervals: a figure and where it lies with 95 %, from totals alone, as `{"value", "low", "high"}` for JSON.

Of a figure that is not defined there is None, and of one without an interval `low` and `high` are None.
"""

from __future__ import annotations

import math

from scipy import special

LEVEL = 0.95
_Z = float(special.ndtri((1 + LEVEL) / 2))

Interval = dict[str, float | None]


def proportion(part: float, whole: float, *, z: float = _Z) -> Interval | None:
    """The share of `part` in `whole`, by scores (Wilson 1927, "Probable inference"); None of nothing.

    It is never empty: 10 of 10 are within [0.72, 1]. `z` is the normal quantile of another level.
    """
    if not whole > 0:
        return None
    share, reach = part / whole, z * z / whole
    middle = (share + reach / 2) / (1 + reach)
    half = math.sqrt(reach * share * (1 - share) + reach * reach / 4) / (1 + reach)
    # At the ends the formula misses 0 and 1 by its last bit.
    low = 0.0 if part == 0 else max(middle - half, 0.0)
    high = 1.0 if part == whole else min(middle + half, 1.0)
    return {"value": share, "low": min(low, share), "high": max(high, share)}


def within_one(value: float, variance: float, rows: float) -> Interval:
    """A figure in [0, 1] of known variance, as the share of so many rows as would have that variance.

    That is Wilson's interval with the effective sample size (Korn & Graubard 1998, "Confidence intervals for
    proportions with small expected number of positive counts"), which stays within [0, 1] and is never empty: where
    no variance is seen the size is `rows`, the rows there are.
    """
    size = value * (1 - value) / variance if variance > 0 and 0 < value < 1 else rows
    found = proportion(value * size, size)
    return {**(found or {"low": None, "high": None}), "value": value}


def mean(rows: int, total: float, squares: float, *, lowest: float = -math.inf, highest: float = math.inf) -> Interval:
    """The mean of `rows` values, 1 or more, from their sum and the sum of their squares, by Student's t.

    The interval is cut to `lowest` and `highest`, which the values cannot exceed. One value has none. What overflowed
    is None. Of skewed values, as log-losses are, few rows rarely have the largest: there it holds in 93 % for 50 rows
    and in 94 % for 100.
    """
    value = total / rows
    if not math.isfinite(value):
        return {"value": None, "low": None, "high": None}
    if rows < 2 or not math.isfinite(squares):
        return {"value": value, "low": None, "high": None}
    half = error_of_mean(rows, total, squares) * float(special.stdtrit(rows - 1, (1 + LEVEL) / 2))
    return {"value": value, "low": max(value - half, lowest), "high": min(value + half, highest)}


def error_of_mean(rows: int, total: float, squares: float) -> float:
    """The standard error of a mean of `rows` values, 2 or more."""
    return math.sqrt(max(squares - total * (total / rows), 0.0) / (rows - 1) / rows)


def around(value: float, error: float, *, lowest: float = -math.inf, highest: float = math.inf) -> Interval:
    """A figure of standard error `error`, normally distributed, cut to `lowest` and `highest`."""
    return {"value": value, "low": max(value - _Z * error, lowest), "high": min(value + _Z * error, highest)}
