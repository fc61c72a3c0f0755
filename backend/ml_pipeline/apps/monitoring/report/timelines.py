"""Timelines: charts of what went on over time: requests and errors, latencies, and how right answers were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ml_pipeline.apps.monitoring import sql
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.report import facts, shown
from ml_pipeline.apps.monitoring.report.facts import Facts
from ml_pipeline.charts import drawings, figures
from ml_pipeline.charts.drawings import Plot

# In hours: days, weeks and months of weeks, from which the marks of the time are chosen.
_MARKS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1_344, 2_688)
# How far apart they are, at least.
_MARK = 64
_NAMED = 66


class Step(NamedTuple):
    """What one algorithm, or all of them, did in one step; `begin` and `end` are hours within the range."""

    begin: float
    end: float
    figures: Mapping[str, Any]

    @property
    def middle(self) -> float:
        """Where its point is drawn."""
        return (self.begin + self.end) / 2


def of(found: Facts, algorithm_id: int) -> list[Step]:
    """The steps of one algorithm."""
    return [
        _step(found, step, one)
        for step in found.told["series"]
        for one in step["algorithms"]
        if one["id"] == algorithm_id
    ]


def of_all(found: Facts) -> list[Step]:
    """Requests and errors of all algorithms together, by step."""
    names = ("requests", "errors")
    return [
        _step(found, step, {name: sum(one[name] for one in step["algorithms"]) for name in names})
        for step in found.told["series"]
    ]


def traffic(key: str, found: Facts, steps: Sequence[Step]) -> SafeString:
    """Requests by step as bars, and at the foot of each those that failed."""
    most = max(step.figures["requests"] for step in steps)
    plot = _plot(found.asked, 0.0, most * 1.05)
    drawn = []
    for step in steps:
        left, width = plot.x(step.begin), max(plot.x(step.end) - plot.x(step.begin) - 0.4, 0.6)
        for kind, name in (("bar", "requests"), ("error", "errors")):
            if step.figures[name]:
                # Few errors are seen, too.
                height = max(plot.bottom - plot.y(step.figures[name]), 1.5)
                drawn.append(drawings.rectangle(kind, left, plot.bottom - height, width, height))
    ticks = drawings.steps(0.0, plot.high, least=1.0)
    frame = drawings.scale(plot, [(tick, f"{tick:,.0f}") for tick in ticks])
    says = (
        f"{figures.counted(found.requests, 'request')} in all, {found.errors:,} of them failed. The most in one "
        f"{found.by} were {most:,}. The table below has the numbers."
    )
    text = f"Requests by {found.by}"
    return drawings.svg(key, plot.height, text, says, [*frame, *_times(plot), *drawn, drawings.caption(text)])


def latencies(key: str, found: Facts, steps: Sequence[Step], name: str) -> SafeString:
    """The latencies that half, nine in ten and 99 in 100 answers did not exceed, on a logarithmic scale."""
    known = [step for step in steps if step.figures["latency_us"]]
    values = [value for step in known for value in step.figures["latency_us"].values() if value]
    low, high = math.log10(min(values)) - 0.08, math.log10(max(values)) + 0.08
    plot = _plot(found.asked, low, max(high, low + 0.5), right=_NAMED)
    drawn, ends = [], []
    for kind, quantile in (("path", "p50"), ("path second", "p90"), ("path third", "p99")):
        points = [(step, math.log10(step.figures["latency_us"][quantile] or 1)) for step in known]
        drawn += _line(plot, found.hours, points, kind)
        ends.append((quantile, points[-1][1]))
    ticks = [(math.log10(value), shown.latency(value)) for value in _round_numbers(10**plot.low, 10**plot.high)]
    frame = [*drawings.scale(plot, ticks), *_times(plot)]
    says = f"In the last {found.by} " + _list(f"{quantile} was {shown.latency(10**value)}" for quantile, value in ends)
    text = drawings.caption("Latency (each line is a multiple of the one below)")
    return drawings.svg(
        key, plot.height, f"Latencies of {name}", f"{says}.", [*frame, *drawn, *_ends(plot, ends), text]
    )


def rightness(key: str, found: Facts, steps: Sequence[Step], about: Mapping[str, Any]) -> SafeString | None:
    """Accuracy, or the mean absolute error, with where it lies, beside the reference's and the estimate; None where
    neither outcomes nor an estimate are known."""
    measure = "mae" if steps and "mae" in steps[0].figures else "accuracy"
    measured = [step for step in steps if (step.figures[measure] or {}).get("value") is not None]
    guessed = [step for step in steps if (step.figures.get("estimated_accuracy") or {}).get("value") is not None]
    if not measured and not guessed:
        return None
    reference = None if about["reference"] is None else about["reference"].get(measure)
    plot = _plot(found.asked, *_bounds(measured, guessed, measure, reference), right=_NAMED)
    points = [(step, step.figures[measure]["value"]) for step in measured]
    drawn = [
        *_band(plot, found.hours, [(step, step.figures[measure]) for step in measured]),
        "" if reference is None else drawings.level(plot, reference, "zero", ""),
        *_line(plot, found.hours, [(step, step.figures["estimated_accuracy"]["value"]) for step in guessed], "guess"),
        *_line(plot, found.hours, points, "path", is_dotted=True),
    ]
    ends = [("measured", measured[-1].figures[measure]["value"])] if measured else []
    ends += [("estimate", guessed[-1].figures["estimated_accuracy"]["value"])] if guessed else []
    ends += [] if reference is None else [("reference", reference)]
    frame = [*drawings.scale(plot, _ticks(plot, measure)), *_times(plot)]
    title = "Right answers (accuracy)" if measure == "accuracy" else "Mean absolute error"
    says = _says(ends, measure, found.by)
    return drawings.svg(
        key,
        plot.height,
        f"{title} of {shown.algorithm(about)}",
        says,
        [*frame, *drawn, *_ends(plot, ends), drawings.caption(title)],
    )


def _ticks(plot: Plot, measure: str) -> list[tuple[float, str]]:
    ticks = drawings.steps(plot.low, plot.high)
    if measure != "accuracy":
        places = drawings.digits(ticks)
        return [(tick, f"{tick:,.{places}f}") for tick in ticks]
    places = drawings.digits([100 * tick for tick in ticks], 1)
    return [(tick, f"{100 * tick:.{places}f} %") for tick in ticks]


def _says(ends: Sequence[tuple[str, float]], measure: str, by: str) -> str:
    names = {"measured": f"measured in the last {by} with outcomes", "estimate": "the estimate, without outcomes"}
    told = _list(
        f"{names.get(name, 'on the reference')} {shown.percent(at) if measure == 'accuracy' else f'{at:.4g}'}"
        for name, at in ends
    )
    return f"{told}. The table below has the numbers.".capitalize()


def _bounds(
    measured: Sequence[Step], guessed: Sequence[Step], measure: str, reference: float | None
) -> tuple[float, float]:
    values = [step.figures[measure]["value"] for step in measured]
    values += [step.figures["estimated_accuracy"]["value"] for step in guessed]
    values += [] if reference is None else [reference]
    # Bands of few outcomes may leave the picture, but of the steps with the most outcomes they do not.
    usual = sorted(step.figures["labelled"] for step in measured)[len(measured) // 2] if measured else 0
    for step in measured:
        if step.figures["labelled"] >= usual:
            values += [end for end in (step.figures[measure]["low"], step.figures[measure]["high"]) if end is not None]
    least = 0.04 if measure == "accuracy" else (max(values) or 1.0) * 0.1
    room = max(0.06 * (max(values) - min(values)), (least - (max(values) - min(values))) / 2)
    low, high = max(min(values) - room, 0.0), max(values) + room
    return low, min(high, 1.005) if measure == "accuracy" else high


def _step(found: Facts, step: Mapping[str, Any], about: Mapping[str, Any]) -> Step:
    begin = facts.hour(step)
    return Step(max(begin, found.asked.begin), min(begin + found.hours, found.asked.end), about)


def _plot(asked: Range, low: float, high: float, right: int = drawings.RIGHT) -> Plot:
    return Plot(asked.end, low, high, first=asked.begin, right=right)


def marks(plot: Plot) -> list[tuple[float, str]]:
    """The times to be named below a plot whose horizontal scale is of hours since 1970."""
    most = (plot.edge - plot.left) / _MARK
    every = next((one for one in _MARKS if (plot.last - plot.first) / one <= most), _MARKS[-1])
    first = math.ceil(plot.first / every) * every
    found = []
    for mark in range(first, int(plot.last) + 1, every):
        at = sql.begins_at(mark)
        found.append((float(mark), f"{at:%H:%M}" if mark % 24 else f"{at.day} {at:%b}"))
    return found


def _times(plot: Plot) -> list[SafeString]:
    return drawings.axis(plot, marks(plot), "time (UTC)")


def _runs(hours: int, points: Sequence[tuple[Step, Any]]) -> list[list[tuple[Step, Any]]]:
    # Where a step is missing nothing is known.
    runs: list[list[tuple[Step, Any]]] = []
    for point in points:
        if runs and point[0].begin - runs[-1][-1][0].begin <= hours:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _line(
    plot: Plot, hours: int, points: Sequence[tuple[Step, float]], kind: str, *, is_dotted: bool = False
) -> list[SafeString]:
    drawn = []
    for run in _runs(hours, points):
        places = [(step.middle, value) for step, value in run]
        if len(run) > 1:
            drawn.append(format_html('<polyline class="{}" points="{}"/>', kind, plot.line(places)))
        elif not is_dotted:
            drawn.append(drawings.dot(plot, *places[0]))
    if (is_dotted and len(points) <= 40) or (is_dotted and len(_runs(hours, points)) > len(points) // 3):
        drawn += [drawings.dot(plot, step.middle, value) for step, value in points]
    return drawn


def _band(plot: Plot, hours: int, points: Sequence[tuple[Step, Mapping[str, Any]]]) -> list[SafeString]:
    drawn = []
    for run in _runs(hours, [one for one in points if one[1]["low"] is not None and one[1]["high"] is not None]):
        if len(run) == 1:
            ((step, interval),) = run
            top, bottom = plot.y(interval["high"]), plot.y(interval["low"])
            drawn.append(drawings.rectangle("band", plot.x(step.middle) - 2, top, 4, bottom - top))
            continue
        edge = [(step.middle, interval["high"]) for step, interval in run]
        edge += [(step.middle, interval["low"]) for step, interval in reversed(run)]
        drawn.append(format_html('<polygon class="band" points="{}"/>', plot.line(edge)))
    return drawn


def _ends(plot: Plot, ends: Iterable[tuple[str, float]]) -> list[SafeString]:
    """Names at the ends of lines, none upon another."""
    drawn, free = [], drawings.TOP + 0.0
    wanted = sorted((plot.y(value) + 4, name) for name, value in ends)
    for place, (near, name) in enumerate(wanted):
        y = min(max(near, free), plot.bottom - (len(wanted) - 1 - place) * 12)
        free = y + 12
        drawn.append(format_html('<text class="name" x="{}" y="{}">{}</text>', plot.edge + 4, drawings.at(y), name))
    return drawn


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between the two; where they are many, the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= 6:
            break
    return found


def _list(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
