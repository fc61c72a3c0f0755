"""Evidence that arms did not get their shares: of the units, or of the labels. It holds however often one looks.

A Dirichlet mixture around the planned shares against the shares themselves (Lindon & Malek 2022, "Anytime-valid
inference for multinomial count data"). A test whose shares are not the planned ones compares groups that chose
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

# How closely the alternatives surround the planned shares; frozen.
CONCENTRATION = 100.0
# Evidence at which an alarm is given: for the units of the arms, and for their labels.
SAMPLE_RATIO_ALARM = 1000.0
LABEL_PARITY_ALARM = 100.0


def log_evidence(counts: ArrayLike, shares: Sequence[float]) -> Floats:
    """The natural logarithm of the evidence that counts do not come with these shares: 0 without any, finite always.

    `counts` (..., k) are those of each arm, `shares` (k,) add up to 1 or are made to; the result has the shape (...).
    ValueError for a share that is not above 0, and for a count below 0.
    """
    n, p = np.asarray(counts, dtype=np.float64), _normal(shares)
    if (n < 0).any():
        raise ValueError("counts are 0 or more")
    prior = CONCENTRATION * p
    total = n.sum(axis=-1)
    gained = (special.gammaln(prior + n) - special.gammaln(prior) - n * np.log(p)).sum(axis=-1)
    return np.asarray(gained - (special.gammaln(CONCENTRATION + total) - special.gammaln(CONCENTRATION)))


def _normal(shares: Sequence[float]) -> Floats:
    p = np.asarray(shares, dtype=np.float64)
    if not (p > 0).all():
        raise ValueError("a share is above 0")
    return np.asarray(p / p.sum())


def log_gain(count: int, total: int, share: float) -> float:
    """What one more of an arm adds to `log_evidence`, where it had `count` of `total` before."""
    return math.log((CONCENTRATION * share + count) / (CONCENTRATION + total) / share)
