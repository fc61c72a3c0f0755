"""Shown: names and figures of monitoring as people read them, those that have one with where they lie with 95 %."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_pipeline.charts import drawings, figures
from ml_pipeline.charts.pages import Cell

UNKNOWN = "not known"
# Around what is written in another direction, so that it turns round nothing else.
_FIRST_STRONG, _POP = "\u2068", "\u2069"
_LONGEST = 60


def name(text: str, most: int = _LONGEST) -> str:
    """A name within a sentence: of bounded length, and with no effect on what surrounds it."""
    short = drawings.shortened(text, most)
    return short if short.isascii() else f"{_FIRST_STRONG}{short}{_POP}"


def algorithm(about: Mapping[str, Any]) -> str:
    """An algorithm and its version."""
    return name(f"{about['algorithm']} {about['version']}")


def percent(part: float, width: float = 0.01) -> str:
    """A share, with as many places as show `width`."""
    return f"{figures.number(100 * part, min(figures.places(100 * width), 2))} %"


def share(interval: Mapping[str, Any] | None) -> str:
    """A share and where it lies with 95 %."""
    return _lies(interval, percent, lambda width: min(max(figures.places(100 * width), 1), 2), scale=100, unit=" %")


def amount(interval: Mapping[str, Any] | None) -> str:
    """A number and where it lies with 95 %."""
    return _lies(interval, lambda value: f"{value:.4g}", figures.places)


def _lies(
    interval: Mapping[str, Any] | None,
    alone: Callable[[float], str],
    digits: Callable[[float], int],
    *,
    scale: float = 1,
    unit: str = "",
) -> str:
    # `alone` words a value of which it is not known where it lies; `digits` are those for an interval of that width.
    if interval is None or interval["value"] is None:
        return UNKNOWN
    low, high = interval["low"], interval["high"]
    if low is None or high is None:
        return alone(interval["value"])
    places = digits(high - low)
    value, *ends = (figures.number(scale * one, places) for one in (interval["value"], low, high))
    return f"{value}{unit} ({ends[0]} to {ends[1]})"


def latency(us: float | None) -> str:
    """A latency, given in µs."""
    return "–" if us is None else f"{us / 1000:.3g} ms" if us < 1e6 else f"{us / 1e6:.3g} s"


def chance(p: float) -> str:
    """A probability that is mostly small."""
    return "below 0.0001" if p < 1e-4 else f"{p:.2g}"


def cell(interval: Mapping[str, Any] | None, words: Any = share) -> Cell:
    """An interval in a table, its value exact."""
    return Cell(None if interval is None else interval["value"], words(interval))


def count(number: int) -> Cell:
    """A count in a table."""
    return Cell(number, f"{number:,}")
