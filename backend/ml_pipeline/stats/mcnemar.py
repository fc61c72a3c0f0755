"""Evidence that one arm is right more often than another, from two integers; it holds however often one looks.

Answers of two arms are paired. A pair on which just one arm is right is a win of the challenger or a loss; the others
say nothing (McNemar 1947). If the challenger is no better, a win is no likelier than a loss, and then each component
below is a supermartingale that begins at 1: a bet on the chance of a win, mixed over Beta(a, a) cut to chances above
1/2. So is their mean E, and by Ville's inequality it ever reaches 1/α with probability α at most (Robbins 1970,
"Statistical methods related to the law of the iterated logarithm"; Ramdas et al. 2023, "Game-theoretic statistics and
safe anytime-valid inference").

    log E_a = log B(a+w, a+l) - log B(a, a) + (w+l+1) log 2 + log P(Beta(a+w, a+l) > 1/2)
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

# Large ones look for small differences, small ones for large. They are frozen: another choice is another test.
CONCENTRATIONS = np.array([5.0, 25.0, 100.0, 400.0])
# The incomplete Beta function has all its digits above it, and underflows not far below.
_TINY = 1e-280
_LOG_2 = float(np.log(2.0))
_EMPTY = special.betaln(CONCENTRATIONS, CONCENTRATIONS)


@overload
def log_evidence(wins: int, losses: int) -> float: ...
@overload
def log_evidence(wins: NDArray[Any], losses: NDArray[Any]) -> Floats: ...


def log_evidence(wins: ArrayLike, losses: ArrayLike) -> float | Floats:
    """The natural logarithm of the evidence that the challenger is better: 0 without pairs, finite always.

    Two counts, or arrays of counts that broadcast; the result has their shape. `log_evidence(losses, wins)` is the
    evidence of the opposite. A call takes about 20 µs, 120 µs at extremes. ValueError for a count below 0.
    """
    tail = _log_tail(CONCENTRATIONS + _column(wins), CONCENTRATIONS + _column(losses))
    components = log_components(wins, losses) + _LOG_2 + tail
    # As logsumexp, which takes longer than all the rest together.
    peak = components.max(axis=-1)
    result = peak + np.log(np.exp(components - peak[..., None]).mean(axis=-1))
    return float(result) if result.ndim == 0 else result


def log_components(wins: ArrayLike, losses: ArrayLike) -> Floats:
    """The log evidence of each component before its cut, when it bets on losses too: a last axis of 4 more."""
    won, lost = _column(wins), _column(losses)
    return np.asarray(special.betaln(CONCENTRATIONS + won, CONCENTRATIONS + lost) - _EMPTY + (won + lost) * _LOG_2)


def _column(counts: ArrayLike) -> Floats:
    column = np.asarray(counts, dtype=np.float64)[..., None]
    if (column < 0).any():
        raise ValueError("wins and losses are counts, 0 or more")
    return column


def _log_tail(x: Floats, y: Floats) -> Floats:
    """log P(Beta(x, y) > 1/2), of the shape of both."""
    tail = special.betaincc(x, y, 0.5)
    deep = tail < _TINY
    if not deep.any():
        return np.asarray(np.log(tail))
    result = np.asarray(np.log(np.where(deep, 1.0, tail)))
    result[deep] = _log_deep_tail(x[deep], y[deep])
    return result


def _log_deep_tail(x: Floats, y: Floats) -> Floats:
    """As `_log_tail` where y is far above x: the continued fraction of the incomplete Beta function, by Lentz's method.

    DLMF 8.17.22 at 1/2 for I(y, x), of which the quotient is left out: B(x, y) 2^(x+y) y.
    """
    total = x + y
    c = np.ones_like(x)
    d = 1.0 / (1.0 - total / (y + 1.0) / 2.0)
    fraction = d.copy()
    for m in range(1, 1000):
        even = m * (x - m) / ((y + 2 * m - 1.0) * (y + 2 * m)) / 2.0
        odd = -(y + m) * (total + m) / ((y + 2 * m) * (y + 2 * m + 1.0)) / 2.0
        for step in (even, odd):
            d = 1.0 / (1.0 + step * d)
            c = 1.0 + step / c
            fraction *= d * c
        if (np.abs(d * c - 1.0) < 1e-15).all():
            break
    return np.asarray(np.log(fraction) - np.log(y) - special.betaln(x, y) - total * _LOG_2)
