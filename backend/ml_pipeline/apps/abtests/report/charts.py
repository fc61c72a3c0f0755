"""Charts: small drawings in SVG, made of numbers and escaped texts; they take their colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ml_pipeline.apps.abtests import figures
from ml_pipeline.apps.abtests.report.scales import Scale

WIDTH, HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 26, 40
# Of the path's length: the scale is not chosen for what was before, since early bands are as wide as they can be.
_EARLY = 0.2
_TICKS = 5
_NAME = 48
_WRITTEN_OUT = 4
_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Share(NamedTuple):
    """An arm's part of the answers, and the plan's; None as in `ArmFacts`."""

    name: str
    part: float | None
    plan: float | None
    units: int


class _Plot(NamedTuple):
    # The numbers that the edges stand for.
    last: float
    low: float
    high: float

    def x(self, labels: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * labels / self.last

    def y(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (inside - self.low) / (self.high - self.low)

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(labels):.1f},{self.y(value):.1f}" for labels, value in points)


def band(key: str, path: Sequence[Mapping[str, Any]], scale: Scale, margin: float, title: str) -> SafeString:
    """The band and the difference in it over the labels, with the lines of no difference and of the margin."""
    late = [point for point in path if point["labels"] >= _EARLY * path[-1]["labels"]]
    low = min(0.0, margin, *(point["low"] for point in late))
    high = max(0.0, margin, *(point["high"] for point in late))
    room = 0.06 * (high - low)
    plot = _Plot(path[-1]["labels"], low - room, high + room)
    edge = [(point["labels"], point["high"]) for point in path]
    edge += [(point["labels"], point["low"]) for point in reversed(path)]
    means = [(point["labels"], point["mean"]) for point in path if point["mean"] is not None]
    ticks = _steps(plot.low * scale.factor, plot.high * scale.factor)
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 2
    drawn = [
        format_html('<polygon class="band" points="{}"/>', plot.line(edge)),
        _level(plot, 0.0, "zero", ""),
        _level(plot, margin, "bound", "margin") if margin else "",
        format_html('<polyline class="path" points="{}"/>', plot.line(means)),
        _end(plot, path[-1]),
    ]
    frame = _frame(plot, [(tick / scale.factor, scale.difference(tick / scale.factor, digits)) for tick in ticks])
    text = f"Advantage of the challenger, in {scale.axis}"
    says = (
        f"After {path[-1]['labels']:,} labels the difference lies {scale.between(path[-1]['low'], path[-1]['high'])}. "
        "The band narrows as labels come; where it leaves the picture it is wider. The table below has the numbers."
    )
    return _svg(key, HEIGHT, title, says, [*frame, *drawn, _caption(text)])


def evidence(key: str, path: Sequence[Mapping[str, Any]], bound: float, title: str) -> SafeString:
    """The evidence over the labels on a logarithmic scale, with the bound that promotes."""
    found = [point["log_evidence"] for point in path]
    plot = _Plot(path[-1]["labels"], min(0.0, max(min(found), -math.log(10))), max(bound, *found) * 1.08)
    step = max(1, math.ceil(plot.high / math.log(10) / _TICKS)) * math.log(10)
    ticks = [place * step for place in range(math.floor(plot.high / step) + 1)]
    drawn = [
        _level(plot, bound, "bound", f"{figures.evidence(bound)} is enough"),
        format_html('<polyline class="path" points="{}"/>', plot.line((p["labels"], p["log_evidence"]) for p in path)),
        _dot(plot, path[-1]["labels"], found[-1]),
    ]
    frame = _frame(plot, [(tick, _odds(tick)) for tick in ticks])
    says = (
        f"The evidence after {path[-1]['labels']:,} labels is {figures.evidence(found[-1])}, at its highest "
        f"{figures.evidence(max(found))} among these points; {figures.evidence(bound)} is enough. Each line of the "
        "scale is a multiple of the one below. The table below has the numbers."
    )
    return _svg(key, HEIGHT, title, says, [*frame, *drawn, _caption("Evidence that the challenger is better")])


def shares(key: str, arms: Sequence[Share], title: str) -> SafeString:
    """A bar for each arm: its part of the answers, and a mark at the plan's."""
    row, width = 44, WIDTH - 20
    drawn = []
    for place, arm in enumerate(arms):
        top = 8 + place * row
        said = f"{arm.part:.1%}".replace("%", " %") if arm.part is not None else "–"
        if arm.plan is None:
            said = "withdrawn"
        name = arm.name if len(arm.name) <= _NAME else arm.name[: _NAME - 1] + "…"
        drawn.append(format_html('<text x="10" y="{}">{}: {}</text>', top + 10, name, said))
        drawn.append(_rectangle("rail", top + 17, width))
        if arm.part is not None:
            drawn.append(_rectangle("bar", top + 17, width * arm.part))
        if arm.plan is not None:
            x = 10 + width * arm.plan
            drawn.append(format_html('<path class="bound" d="M{} {}V{}"/>', _at(x), top + 13, top + 33))
    parts = [f"{arm.name} {arm.part:.1%} of {arm.plan:.1%}" for arm in arms if arm.part is not None and arm.plan]
    says = f"Parts of the answers, and those of the plan, which marks show: {'; '.join(parts) or 'no answer yet'}."
    return _svg(key, 8 + row * len(arms), title, says, drawn)


def _svg(key: str, height: int, title: str, says: str, drawn: Iterable[str]) -> SafeString:
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


def _frame(plot: _Plot, ticks: Iterable[tuple[float, str]]) -> list[SafeString]:
    """Lines of the scale with what they stand for, and the axis of labels."""
    found = []
    for value, text in ticks:
        y = plot.y(value)
        found.append(format_html('<path class="grid" d="M{} {}H{}"/>', _LEFT, _at(y), WIDTH - _RIGHT))
        found.append(format_html('<text class="end" x="{}" y="{}">{}</text>', _LEFT - 6, _at(y + 4), text))
    for labels in _steps(0, plot.last, least=1.0):
        place = "middle" if plot.x(labels) < WIDTH - 30 else "end"
        x, text = _at(plot.x(labels)), f"{labels:,.0f}"
        found.append(format_html('<text class="{}" x="{}" y="{}">{}</text>', place, x, HEIGHT - 22, text))
    middle = _at((_LEFT + WIDTH - _RIGHT) / 2)
    found.append(format_html('<text class="middle" x="{}" y="{}">labels</text>', middle, HEIGHT - 6))
    return found


def _odds(logarithm: float) -> str:
    # A power of ten.
    power = round(logarithm / math.log(10))
    return f"1 : {10**power:,}" if power <= _WRITTEN_OUT else f"1 : 10{str(power).translate(_POWERS)}"


def _caption(text: str) -> SafeString:
    return format_html('<text x="4" y="14">{}</text>', text)


def _level(plot: _Plot, value: float, kind: str, text: str) -> SafeString:
    y, right = plot.y(value), WIDTH - _RIGHT
    line = format_html('<path class="{}" d="M{} {}H{}"/>', kind, _LEFT, _at(y), right)
    word = format_html('<text x="{}" y="{}">{}</text>', _LEFT + 4, _at(y - 5), text) if text else ""
    return format_html("{}{}", line, word)


def _end(plot: _Plot, point: Mapping[str, Any]) -> SafeString:
    """Where the path is now, which alone is seen of a path of one point."""
    x, low, high = _at(plot.x(point["labels"])), _at(plot.y(point["low"])), _at(plot.y(point["high"]))
    line = format_html('<path class="path" d="M{} {}V{}"/>', x, low, high)
    return format_html("{}{}", line, _dot(plot, point["labels"], point["mean"]) if point["mean"] is not None else "")


def _dot(plot: _Plot, labels: float, value: float) -> SafeString:
    x, y = _at(plot.x(labels)), _at(plot.y(value))
    return format_html('<circle class="dot" cx="{}" cy="{}" r="3.5"/>', x, y)


def _at(place: float) -> str:
    return f"{place:.1f}"


def _rectangle(kind: str, y: float, width: float) -> SafeString:
    return format_html('<rect class="{}" x="10" y="{}" width="{}" height="12"/>', kind, y, _at(max(width, 0.0)))


def _steps(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round numbers between `low` and `high`, some five of them, at least so far apart."""
    rough = max((high - low) / _TICKS, least)
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in (1, 2, 5, 10) if one * size >= rough * (1 - 1e-9))
    return [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
