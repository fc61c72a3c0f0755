"""Medians and ratios of what a run measured. Imports nothing but the standard library.

A ratio is the median of the rounds' ratios: what disturbs the machine for a while disturbs both sides of one round.
"""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

Document = dict[str, Any]


class Shot(NamedTuple):
    """One measurement: a contestant of a part, and what it was asked."""

    part: str
    contestant: str
    shot: str


def rounds(document: Document, shot: Shot, figure: str) -> list[float]:
    """A figure of every round; `all_cpu_us` is the database server's processor time too."""
    found = document[shot.part]["contestants"][shot.contestant]["shots"][shot.shot]
    if figure == "all_cpu_us":
        return [one["cpu_us"] + one["database_cpu_us"] for one in found]
    return [one[figure] for one in found]


def median(document: Document, shot: Shot, figure: str) -> float:
    """Over the rounds."""
    return statistics.median(rounds(document, shot, figure))


def ratio(document: Document, above: Shot, below: Shot, figure: str = "rate") -> float:
    """The median over the rounds of one shot's figure by another's."""
    pairs = zip(rounds(document, above, figure), rounds(document, below, figure), strict=True)
    return statistics.median(upper / lower for upper, lower in pairs)


def spread(document: Document, shot: Shot) -> float:
    """By how much of the p50 the p99 is longer: the median over the rounds of p99 by p50."""
    pairs = zip(rounds(document, shot, "p99_ms"), rounds(document, shot, "p50_ms"), strict=True)
    return statistics.median(late / usual for late, usual in pairs)


def once(document: Document, part: str, contestant: str, figure: str) -> float | None:
    """The median of what is measured once a round: `start_s`, `memory_mb`, `row_bytes`; None where it is not."""
    found = document[part]["contestants"][contestant][figure]
    return statistics.median(found) if found else None


def fdatasync_ms(document: Document, way: str = "overwriting") -> float:
    """The median wait for 8 kB written over what is there, which is how a write-ahead log goes on, or `growing`."""
    return statistics.median(one[way] for one in document["servers"]["fdatasync_us"]) / 1e3


def disturbance(document: Document) -> tuple[float, float]:
    """Which share of the server's core others had while it was measured: the median and the most.

    Two processes are left out: they share a core with those who ask.
    """
    parts = [part for name, part in document.items() if name not in ("run", "workers")]
    contestants = [found for part in parts for found in part["contestants"].values()]
    shares = [one["others"] for found in contestants for shot in found["shots"].values() for one in shot]
    if not shares:
        return 0.0, 0.0
    return statistics.median(shares), max(shares)
