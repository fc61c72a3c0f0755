"""Totals: sums over rows that add up over batches, hours and processes, whatever the cut and the order.

Integers are exact, floats are sums and equal but for rounding. Their JSON has neither NaN nor Infinity; `summed` reads
any number of documents at once, which takes a fraction of reading and adding them one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Totals:
    """What its fields hold, counts and sums, is added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def packed(counts: Counts) -> list[list[int]]:
    """Mostly zeros as two lists, `[places, counts]`, of what is none."""
    places = np.flatnonzero(counts)
    return [places.tolist(), counts[places].tolist()]


def unpacked(documents: Iterable[Sequence[Sequence[int]]], size: int) -> Counts:
    """The sum of what `packed` gave for arrays of shape (size,)."""
    parts = list(documents)
    places = np.fromiter(chain.from_iterable(part[0] for part in parts), dtype=np.int64)
    counts = np.fromiter(chain.from_iterable(part[1] for part in parts), dtype=np.int64)
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, places, counts)
    return total


def finite(number: float) -> float | None:
    """For JSON: a sum that overflowed is None."""
    return float(number) if math.isfinite(number) else None


def number(document: float | None) -> float:
    """What `finite` wrote; NaN, which no sum gets rid of, for one that overflowed."""
    return math.nan if document is None else float(document)


def numbers(documents: Iterable[Any]) -> Floats:
    """As `number` for lists of them, of any depth."""
    return np.array(list(documents), dtype=np.float64)
