"""Drawings: the parts of charts in SVG, made of numbers and escaped texts; colours are those of the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 26, 40
_TICKS = 5


class Plot(NamedTuple):
    """The numbers that the edges of a chart stand for. What lies above or below is drawn at the edge."""

    last: float
    low: float
    high: float
    first: float = 0.0
    height: int = HEIGHT
    right: int = RIGHT
    left: int = LEFT

    def x(self, at: float) -> float:
        """Where a number of the horizontal scale is."""
        return self.left + (WIDTH - self.left - self.right) * (at - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        """Where a number of the vertical scale is."""
        inside = min(max(value, self.low), self.high)
        return self.bottom - (self.bottom - TOP) * (inside - self.low) / (self.high - self.low)

    @property
    def bottom(self) -> float:
        """Where the lowest number is."""
        return self.height - BOTTOM

    @property
    def edge(self) -> int:
        """Where the last number is."""
        return WIDTH - self.right

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        """The points of a line, as an attribute."""
        return " ".join(f"{self.x(at):.1f},{self.y(value):.1f}" for at, value in points)


def svg(key: str, height: int, title: str, says: str, drawn: Iterable[str]) -> SafeString:
    """The whole drawing; `title` and `says` are what is told of it to whoever does not see it."""
    return format_html(
        '<svg viewBox="0 0 {0} {1}" role="img" aria-labelledby="{2}-title {2}-says">'
        '<title id="{2}-title">{3}</title><desc id="{2}-says">{4}</desc>{5}</svg>',
        WIDTH,
        height,
        key,
        title,
        says,
        format_html_join("", "{}", ((one,) for one in drawn if one)),
    )


def scale(plot: Plot, ticks: Iterable[tuple[float, str]]) -> list[SafeString]:
    """Lines of the vertical scale with what they stand for."""
    found = []
    for value, text in ticks:
        y = plot.y(value)
        found.append(format_html('<path class="grid" d="M{} {}H{}"/>', plot.left, at(y), plot.edge))
        found.append(format_html('<text class="end" x="{}" y="{}">{}</text>', plot.left - 6, at(y + 4), text))
    return found


def axis(plot: Plot, ticks: Iterable[tuple[float, str]], name: str) -> list[SafeString]:
    """What the horizontal scale stands for, and its name."""
    found = []
    for place, text in ticks:
        kind = "middle" if plot.x(place) < WIDTH - 30 else "end"
        x = at(plot.x(place))
        found.append(format_html('<text class="{}" x="{}" y="{}">{}</text>', kind, x, plot.height - 22, text))
    middle = at((plot.left + plot.edge) / 2)
    found.append(format_html('<text class="middle" x="{}" y="{}">{}</text>', middle, plot.height - 6, name))
    return found


def caption(text: str) -> SafeString:
    """What the vertical scale is of."""
    return format_html('<text x="4" y="14">{}</text>', text)


def level(plot: Plot, value: float, kind: str, text: str) -> SafeString:
    """A line across the chart, and a word at it."""
    y = plot.y(value)
    line = format_html('<path class="{}" d="M{} {}H{}"/>', kind, plot.left, at(y), plot.edge)
    word = format_html('<text x="{}" y="{}">{}</text>', plot.left + 4, at(y - 5), text) if text else ""
    return format_html("{}{}", line, word)


def dot(plot: Plot, place: float, value: float) -> SafeString:
    """A point."""
    return format_html('<circle class="dot" cx="{}" cy="{}" r="3.5"/>', at(plot.x(place)), at(plot.y(value)))


def rectangle(kind: str, x: float, y: float, width: float, height: float) -> SafeString:
    """A bar or a field; less than nothing is nothing."""
    size = (at(max(width, 0.0)), at(max(height, 0.0)))
    return format_html('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', kind, at(x), at(y), *size)


def at(place: float) -> str:
    """A coordinate."""
    return f"{place:.1f}"


def steps(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round numbers between `low` and `high`, some five of them, at least so far apart."""
    rough = max((high - low) / _TICKS, least)
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in (1, 2, 5, 10) if one * size >= rough * (1 - 1e-9))
    return [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def digits(ticks: list[float], otherwise: int = 2) -> int:
    """The decimal places that numbers of `steps` need."""
    return max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else otherwise


def shortened(name: str, most: int) -> str:
    """A name that takes no more room than so many letters."""
    return name if len(name) <= most else name[: most - 1] + "…"
