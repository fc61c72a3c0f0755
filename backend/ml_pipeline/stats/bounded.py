"""Evidence about the mean of differences in [-1, 1], and the band in which that mean lies, however often one looks.

A difference d is the challenger's score less the champion's, of answers that were paired. If its mean is at most
`margin`, whatever came before, a bettor who stakes a share λ on it gains nothing on average, so his wealth is a
supermartingale that begins at 1. So is the mean over many λ, and by Ville's inequality it ever reaches 1/α with
probability α at most (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting").

    E = mean over λ of the product over d of 1 + λ (d - margin) / (1 + |margin|)

The product does not depend on the order of the differences, so the state is a tally: how many there were at each of 361
levels, 1/180 apart. A difference between two levels counts as a fraction of either, such that the mean stays. A
logarithm is concave, so this understates the evidence for every margin and on both sides, and never overstates it.
Accuracy, and means of 2, 3, 4, 5, 6, 9 or 10 right or wrong answers, fall on levels and lose nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

STEPS = 180
LEVELS: Floats = np.arange(-STEPS, STEPS + 1) / STEPS
# Twenty stakes of normal sizes for each of four scales. They are frozen: another choice is another test.
_SIZES = special.ndtri(0.5 + (np.arange(20) + 0.5) / 40)
STAKES: Floats = np.minimum(0.95, np.outer((0.02, 0.06, 0.2, 0.6), _SIZES)).ravel()
# In steps; a difference as near as this to a level is on it: what rounding made of 1 - 3/9.
_ON_LEVEL = 1e-9
# An end of the band is found to 2^-31 of its range.
_HALVINGS = 31


@dataclass(frozen=True, slots=True)
class Band:
    """Where a mean difference lies; both ends are in [-1, 1], in the unit of the score."""

    low: float
    high: float

    @property
    def largest(self) -> float:
        """The largest difference, either way, that the evidence still allows."""
        return max(abs(self.low), abs(self.high))


def log_evidence(counts: ArrayLike, levels: ArrayLike, margin: float = 0.0) -> Floats:
    """The natural logarithm of the evidence that the mean is above `margin`: 0 without differences, finite always.

    `counts` (..., V) says how many differences there were at each of V levels, `levels` (V,) are indices into `LEVELS`;
    the result has the shape (...). ValueError for a margin that is not within [-1, 1].
    """
    places = np.asarray(levels, dtype=np.intp)
    return _mixed(np.asarray(counts, dtype=np.float64), _log_gains(LEVELS[places], margin))


def _log_gains(values: Floats, margin: float) -> Floats:
    """What one difference adds to the log wealth of each stake: (V, 80)."""
    if not -1.0 <= margin <= 1.0:
        raise ValueError(f"a margin lies between -1 and 1, and is not {margin}")
    return np.log1p(np.outer((values - margin) / (1.0 + abs(margin)), STAKES))


@functools.lru_cache(maxsize=64)
def _table(margin: float) -> Floats:
    return _log_gains(LEVELS, margin)


def _mixed(counts: Floats, gains: Floats) -> Floats:
    # Not a product of matrices: its last bits depend on where the library finds the numbers in memory.
    wealth = (counts[..., None] * gains).sum(axis=-2)
    peak = wealth.max(axis=-1)
    return np.asarray(peak + np.log(np.exp(wealth - peak[..., None]).mean(axis=-1)))


@dataclass(slots=True)
class Differences:
    """What is known of a stream of differences: 361 numbers at most, however long it is."""

    count: int = 0
    # How many are above zero, and below: the others say nothing about the sign.
    above: int = 0
    below: int = 0
    tally: dict[int, float] = field(default_factory=dict)

    def add(self, difference: float) -> None:
        """One more difference is counted. ValueError for what is not a number within [-1, 1]."""
        if not -1.0 <= difference <= 1.0:
            raise ValueError(f"a difference lies between -1 and 1, and is not {difference}")
        place = (difference + 1.0) * STEPS
        level = round(place)
        if abs(place - level) <= _ON_LEVEL:
            self.tally[level] = self.tally.get(level, 0.0) + 1.0
        else:
            level = math.floor(place)
            self.tally[level] = self.tally.get(level, 0.0) + (1.0 - (place - level))
            self.tally[level + 1] = self.tally.get(level + 1, 0.0) + (place - level)
        self.count += 1
        self.above += difference > 0
        self.below += difference < 0

    def log_evidence(self, margin: float = 0.0) -> float:
        """The natural logarithm of the evidence that the mean is above `margin`."""
        levels, counts = self._arrays()
        return float(_mixed(counts, _table(margin)[levels]))

    def log_evidence_below(self, margin: float = 0.0) -> float:
        """The natural logarithm of the evidence that the mean is below `margin`."""
        levels, counts = self._arrays()
        return float(_mixed(counts, _table(-margin)[2 * STEPS - levels]))

    def mean(self) -> float | None:
        """The mean so far, None without differences. At a stop for its sake it says too much: see `band`."""
        if not self.count:
            return None
        return math.fsum(float(LEVELS[level]) * n for level, n in self.tally.items()) / self.count

    def band(self, alpha: float) -> Band:
        """Where the mean lies, at all times at once with probability 1 - `alpha`: a confidence sequence.

        Outside is whatever the evidence against has reached 2/α. Evidence for "above" only falls when its margin
        rises, so either end is one root, found by halving and rounded outwards.
        """
        levels, counts = self._arrays()
        return Band(_lowest(levels, counts, alpha / 2), -_lowest(2 * STEPS - levels, counts, alpha / 2))

    def _arrays(self) -> tuple[NDArray[np.intp], Floats]:
        levels = sorted(self.tally)
        return np.array(levels, dtype=np.intp), np.array([self.tally[level] for level in levels], dtype=np.float64)

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, and `restored` makes these differences of again."""
        tally = [[level, self.tally[level]] for level in sorted(self.tally)]
        return {"count": self.count, "above": self.above, "below": self.below, "tally": tally}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Differences:
        """The differences that had this `state`."""
        return cls(state["count"], state["above"], state["below"], {level: float(n) for level, n in state["tally"]})


def _lowest(levels: NDArray[np.intp], counts: Floats, alpha: float) -> float:
    """The highest margin found that the mean is above, by evidence of 1/`alpha`; -1 if there is none."""
    bound = -math.log(alpha)
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_below = float(log_evidence(counts, levels, middle)) >= bound
        low, high = (middle, high) if is_below else (low, middle)
    return low
