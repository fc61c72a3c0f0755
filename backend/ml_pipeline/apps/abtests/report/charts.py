"""Charts: small drawings in SVG, made of numbers and escaped texts; they take their colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ml_pipeline.apps.abtests.report.scales import Scale
from ml_pipeline.charts import drawings, figures
from ml_pipeline.charts.drawings import Plot

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


def band(key: str, path: Sequence[Mapping[str, Any]], scale: Scale, margin: float, title: str) -> SafeString:
    """The band and the difference in it over the labels, with the lines of no difference and of the margin."""
    late = [point for point in path if point["labels"] >= _EARLY * path[-1]["labels"]]
    low = min(0.0, margin, *(point["low"] for point in late))
    high = max(0.0, margin, *(point["high"] for point in late))
    room = 0.06 * (high - low)
    plot = Plot(path[-1]["labels"], low - room, high + room)
    edge = [(point["labels"], point["high"]) for point in path]
    edge += [(point["labels"], point["low"]) for point in reversed(path)]
    means = [(point["labels"], point["mean"]) for point in path if point["mean"] is not None]
    ticks = drawings.steps(plot.low * scale.factor, plot.high * scale.factor)
    digits = drawings.digits(ticks)
    drawn = [
        format_html('<polygon class="band" points="{}"/>', plot.line(edge)),
        drawings.level(plot, 0.0, "zero", ""),
        drawings.level(plot, margin, "bound", "margin") if margin else "",
        format_html('<polyline class="path" points="{}"/>', plot.line(means)),
        _end(plot, path[-1]),
    ]
    frame = _frame(plot, [(tick / scale.factor, scale.difference(tick / scale.factor, digits)) for tick in ticks])
    text = f"Advantage of the challenger, in {scale.axis}"
    says = (
        f"After {path[-1]['labels']:,} labels the difference lies {scale.between(path[-1]['low'], path[-1]['high'])}. "
        "The band narrows as labels come; where it leaves the picture it is wider. The table below has the numbers."
    )
    return drawings.svg(key, drawings.HEIGHT, title, says, [*frame, *drawn, drawings.caption(text)])


def evidence(key: str, path: Sequence[Mapping[str, Any]], bound: float, title: str) -> SafeString:
    """The evidence over the labels on a logarithmic scale, with the bound that promotes."""
    found = [point["log_evidence"] for point in path]
    plot = Plot(path[-1]["labels"], min(0.0, max(min(found), -math.log(10))), max(bound, *found) * 1.08)
    step = max(1, math.ceil(plot.high / math.log(10) / _TICKS)) * math.log(10)
    ticks = [place * step for place in range(math.floor(plot.high / step) + 1)]
    drawn = [
        drawings.level(plot, bound, "bound", f"{figures.evidence(bound)} is enough"),
        format_html('<polyline class="path" points="{}"/>', plot.line((p["labels"], p["log_evidence"]) for p in path)),
        drawings.dot(plot, path[-1]["labels"], found[-1]),
    ]
    frame = _frame(plot, [(tick, _odds(tick)) for tick in ticks])
    says = (
        f"The evidence after {path[-1]['labels']:,} labels is {figures.evidence(found[-1])}, at its highest "
        f"{figures.evidence(max(found))} among these points; {figures.evidence(bound)} is enough. Each line of the "
        "scale is a multiple of the one below. The table below has the numbers."
    )
    text = drawings.caption("Evidence that the challenger is better")
    return drawings.svg(key, drawings.HEIGHT, title, says, [*frame, *drawn, text])


def shares(key: str, arms: Sequence[Share], title: str) -> SafeString:
    """A bar for each arm: its part of the answers, and a mark at the plan's."""
    row, width = 44, drawings.WIDTH - 20
    drawn = []
    for place, arm in enumerate(arms):
        top = 8 + place * row
        said = f"{arm.part:.1%}".replace("%", " %") if arm.part is not None else "–"
        if arm.plan is None:
            said = "withdrawn"
        name = drawings.shortened(arm.name, _NAME)
        drawn.append(format_html('<text x="10" y="{}">{}: {}</text>', top + 10, name, said))
        drawn.append(drawings.rectangle("rail", 10, top + 17, width, 12))
        if arm.part is not None:
            drawn.append(drawings.rectangle("bar", 10, top + 17, width * arm.part, 12))
        if arm.plan is not None:
            x = 10 + width * arm.plan
            drawn.append(format_html('<path class="bound" d="M{} {}V{}"/>', drawings.at(x), top + 13, top + 33))
    parts = [f"{arm.name} {arm.part:.1%} of {arm.plan:.1%}" for arm in arms if arm.part is not None and arm.plan]
    says = f"Parts of the answers, and those of the plan, which marks show: {'; '.join(parts) or 'no answer yet'}."
    return drawings.svg(key, 8 + row * len(arms), title, says, drawn)


def _frame(plot: Plot, ticks: Iterable[tuple[float, str]]) -> list[SafeString]:
    """Lines of the scale with what they stand for, and the axis of labels."""
    counts = [(labels, f"{labels:,.0f}") for labels in drawings.steps(0, plot.last, least=1.0)]
    return [*drawings.scale(plot, ticks), *drawings.axis(plot, counts, "labels")]


def _odds(logarithm: float) -> str:
    # A power of ten.
    power = round(logarithm / math.log(10))
    return f"1 : {10**power:,}" if power <= _WRITTEN_OUT else f"1 : 10{str(power).translate(_POWERS)}"


def _end(plot: Plot, point: Mapping[str, Any]) -> SafeString:
    """Where the path is now, which alone is seen of a path of one point."""
    x, low, high = plot.x(point["labels"]), plot.y(point["low"]), plot.y(point["high"])
    line = format_html('<path class="path" d="M{} {}V{}"/>', *map(drawings.at, (x, low, high)))
    mean = "" if point["mean"] is None else drawings.dot(plot, point["labels"], point["mean"])
    return format_html("{}{}", line, mean)
