"""Figures as people read them: counts, shares, spans of time, moments, and evidence as odds."""

from __future__ import annotations

import math
from datetime import datetime

# From here on nobody asks how much more it is.
_MOST_EVIDENCE = 1_000_000
MINUS = "\u2212"
# No line ends within odds.
ONE_TO = "1\u00a0:\u00a0"
_SPANS = (("years", 365 * 86_400), ("days", 86_400), ("hours", 3_600), ("minutes", 60))


def counted(number: int, one: str, many: str | None = None) -> str:
    """The number and what it counts: "1 label", "3,400 labels"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def roughly(number: int) -> int:
    """The number in two digits, for what is no more than an estimate: 18,000 for 17,756."""
    return round(number, min(2 - len(str(number)), 0))


def share(part: float) -> str:
    """A share in percent: "33.3 %"."""
    return f"{100 * part:.1f} %"


def span(seconds: float) -> str:
    """A time in its largest unit of which there are two: "5 days"."""
    for unit, size in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return counted(round(seconds), "second")


def moment(at: datetime) -> str:
    """A day and a time of day: "26 November 2026, 13:51 UTC"."""
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def evidence(logarithm: float) -> str:
    """Evidence as odds, "1 : 20", never more than there is; `logarithm` is a natural one."""
    if logarithm <= 0:
        return "none" if logarithm < 0 else f"{ONE_TO}1"
    if logarithm >= math.log(_MOST_EVIDENCE):
        return f"more than {ONE_TO}{_MOST_EVIDENCE:,}"
    # Just below a bound it must not read as if that were reached; just below by rounding alone it is.
    odds = math.exp(logarithm) + 1e-9
    return ONE_TO + (f"{math.floor(odds):,}" if odds >= 10 else f"{math.floor(odds * 10) / 10:.1f}")


def places(width: float) -> int:
    """How many decimal places show two digits of `width`."""
    if width <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(width)), 0), 6)


def number(value: float, digits: int) -> str:
    """The value with so many decimal places, and with a minus sign unless it reads as 0."""
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """The same with a sign on either side of 0."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def plain(value: float) -> str:
    """A number that a person wrote, as he wrote it: "0.5", "20,000"."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:g}"
