"""Latencies: how long answers took, as a histogram in geometric buckets that knows every quantile to 1 %.

DDSketch (Masson, Rim & Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees") with buckets for all of int64, so that none is ever merged with another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml_pipeline.stats import totals
from ml_pipeline.stats.totals import Counts

RELATIVE_ERROR = 0.01
# A little finer than promised: a value on the edge of a bucket may be taken for its neighbour's.
_ERROR = RELATIVE_ERROR - 1e-9
_BASE = (1 + _ERROR) / (1 - _ERROR)
_LOG_BASE = math.log(_BASE)
# Bucket 0 holds what is below 1 µs; bucket i what is above base^(i-2) and at most base^(i-1) µs.
_SIZE = math.ceil(63 * math.log(2) / _LOG_BASE) + 2


@dataclass(frozen=True, eq=False)
class Latencies(totals.Totals):
    """Latencies in whole µs: `buckets` has their histogram, `sum_us` their sum."""

    buckets: Counts
    sum_us: int

    @classmethod
    def zero(cls) -> Latencies:
        """No latencies."""
        return cls(np.zeros(_SIZE, dtype=np.int64), 0)

    @classmethod
    def of(cls, latencies_us: ArrayLike) -> Latencies:
        """Those of n answers, integers of shape (n,); what is below 0, as of a clock set back, counts as 0."""
        values = np.maximum(np.asarray(latencies_us, dtype=np.int64), 0)
        places = np.zeros(values.shape, dtype=np.int64)
        above = values > 0
        places[above] = np.ceil(np.log(values[above]) / _LOG_BASE).astype(np.int64) + 1
        # A sum of int64 would wrap around in silence.
        high, low = int((values >> 32).sum()), int((values & 0xFFFF_FFFF).sum())
        return cls(np.bincount(places, minlength=_SIZE), (high << 32) + low)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.buckets.sum())

    def quantile(self, q: float) -> float | None:
        """The ⌈q·n⌉-th smallest in µs, within 1 % of it: NumPy's `inverted_cdf`. None without any.

        The smallest for q = 0. ValueError for a q outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise ValueError("a quantile is within 0 and 1")
        if not self.count:
            return None
        rank = max(math.ceil(q * self.count), 1)
        place = int(np.searchsorted(np.cumsum(self.buckets), rank))
        # The middle of the bucket: as far from its one end as from the other, relative to either.
        return 0.0 if place == 0 else 2 * _BASE ** (place - 1) / (_BASE + 1)

    @property
    def mean(self) -> float | None:
        """In µs; exact but for rounding; None without any."""
        return self.sum_us / self.count if self.count else None

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes them from again."""
        return {"buckets": totals.packed(self.buckets), "sum_us": self.sum_us}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Latencies:
        """The latencies of which `to_json` gave this document."""
        return cls.summed([document])

    @classmethod
    def summed(cls, documents: Iterable[dict[str, Any]]) -> Latencies:
        """The sum of many documents of `to_json`, quicker than one by one."""
        parts = list(documents)
        buckets = totals.unpacked((part["buckets"] for part in parts), _SIZE)
        return cls(buckets, sum(part["sum_us"] for part in parts))
