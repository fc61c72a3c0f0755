"""Drift: whether a window's rows come from elsewhere than the reference's, feature by feature, by two keys.

Statistical: the counts of reference and window in the same bins differ by more than chance, by Pearson's χ² at a false
discovery rate of 1 % over all features (Benjamini & Hochberg 1995). Material: the population stability index exceeds
what sampling alone gives it by more than 0.1. Without drift PSI/(1/n + 1/m) follows χ² with bins - 1 degrees of freedom
(Yurdakul & Naranjo 2020, "Statistical properties of the population stability index"), so its mean is
(bins - 1)(1/n + 1/m), and a bound on the bare index means nothing without n.

Drift is not damage: it says where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ml_pipeline.stats.totals import Counts, Floats

# Smaller windows wait for more rows.
MIN_ROWS = 500
FALSE_DISCOVERY_RATE = 0.01
MATERIAL_EXCESS = 0.1
# In place of a count of 0, whose logarithm is none.
_NONE = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """One feature. `rows` are those of the window, `bins` the ones where reference or window has rows.

    `p` is that of `chi2`, `q` the same adjusted over all features judged with it; `excess` is `psi` less what it is
    without drift. `place` is the bin that adds most to `psi`, None where neither differs.
    """

    rows: int
    bins: int
    chi2: float
    p: float
    q: float
    psi: float
    excess: float
    place: int | None

    @property
    def is_drifted(self) -> bool:
        """Whether both keys turn."""
        return self.q <= FALSE_DISCOVERY_RATE and self.excess > MATERIAL_EXCESS


def judged(reference: Sequence[ArrayLike], window: Sequence[ArrayLike]) -> list[Judgement]:
    """The judgement of each feature, from its counts in the reference and in the window.

    A feature's two vectors have one length: its bins and whatever else a value can be, missing, below or above all,
    another category. Where either has no rows, or all rows of both are in one bin, there is no drift: p = 1, PSI = 0.
    ValueError for lengths that differ and for counts below 0.
    """
    # Half a second, of whoever only serves nothing.
    from scipy import stats

    pairs = [_pair(*pair) for pair in zip(reference, window, strict=True)]
    tests = [_chi2(*pair) for pair in pairs]
    adjusted = stats.false_discovery_control([p for _, p in tests]) if tests else []
    return [_judgement(*pair, chi2, p, float(q)) for pair, (chi2, p), q in zip(pairs, tests, adjusted, strict=True)]


def _pair(reference: ArrayLike, window: ArrayLike) -> tuple[Counts, Counts]:
    before, now = np.asarray(reference, dtype=np.int64), np.asarray(window, dtype=np.int64)
    if before.shape != now.shape or before.ndim != 1:
        raise ValueError(f"counts of one feature have one length, and not {before.shape} and {now.shape}")
    if (before < 0).any() or (now < 0).any():
        raise ValueError("counts are 0 or more")
    return before, now


def _chi2(before: Counts, now: Counts) -> tuple[float, float]:
    from scipy import stats

    table = np.stack([before, now])[:, (before > 0) | (now > 0)]
    if table.shape[1] < 2 or not before.any() or not now.any():
        return 0.0, 1.0
    found = stats.chi2_contingency(table)
    return float(found.statistic), float(found.pvalue)


def _judgement(before: Counts, now: Counts, chi2: float, p: float, q: float) -> Judgement:
    m, n = int(before.sum()), int(now.sum())
    bins = int(((before > 0) | (now > 0)).sum())
    if bins < 2 or not m or not n:
        return Judgement(n, bins, chi2, p, q, 0.0, 0.0, None)
    parts = _psi(before, now)
    psi = float(parts.sum())
    excess = psi - (bins - 1) * (1 / n + 1 / m)
    return Judgement(n, bins, chi2, p, q, psi, excess, int(parts.argmax()) if psi > 0 else None)


def _psi(before: Counts, now: Counts) -> Floats:
    """What each bin adds to the population stability index, Σ(b - a)·log(b/a); nothing is below 0.

    A share of no rows is taken as that of half a row. Where both have rows, nothing is changed.
    """
    a = np.where(before > 0, before, _NONE) / before.sum()
    b = np.where(now > 0, now, _NONE) / now.sum()
    return np.asarray(np.where((before > 0) | (now > 0), (b - a) * np.log(b / a), 0.0))
