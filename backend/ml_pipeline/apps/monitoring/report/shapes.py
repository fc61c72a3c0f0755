"""Shapes: charts of what is no course over time: calibration, scores, slices; and which features drifted when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ml_pipeline.apps.monitoring import sql
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.report import shown
from ml_pipeline.apps.monitoring.report.timelines import marks
from ml_pipeline.apps.monitoring.report.trials import Trials
from ml_pipeline.charts import drawings
from ml_pipeline.charts.drawings import WIDTH, Plot

# Features of the chart of drift, and values of one feature.
MOST_ROWS: Final = 8
# Where rows begin beside their names, how high they are, and how long a name is.
_ASIDE, _ROW, _LETTERS = 140, 22, 20
# From which excess on a field is darker.
_DEPTHS = (0.02, 0.05, 0.1, 0.25)
_OUTSIDE = {"null": "none", "below": "below", "above": "above"}


def calibration(key: str, table: Mapping[str, Any], name: str) -> SafeString:
    """How often what was given a probability came true; on the diagonal where probabilities are to be believed."""
    plot = Plot(1.0, 0.0, 1.0)
    drawn = [format_html('<path class="zero" d="M{} {}L{} {}"/>', *_corners(plot))]
    for one in table["bins"]:
        x = drawings.at(plot.x(one["chance"]))
        low, high = plot.y(one["rate"]["low"]), plot.y(one["rate"]["high"])
        drawn.append(format_html('<path class="whisker" d="M{} {}V{}"/>', x, drawings.at(low), drawings.at(high)))
        drawn.append(drawings.dot(plot, one["chance"], one["rate"]["value"]))
    ticks = [(place / 5, f"{20 * place} %") for place in range(6)]
    frame = [*drawings.scale(plot, ticks), *drawings.axis(plot, ticks, "probability that was given")]
    says = (
        f"Probabilities are off by {shown.percent(table['error'])} on average. Each point is of the answers with about "
        "that probability, with where the share lies with 95 %; the line is where both agree."
    )
    title = f"Calibration of {name}"
    return drawings.svg(key, plot.height, title, says, [*frame, *drawn, drawings.caption("Share that came true")])


def scores(key: str, about: Mapping[str, Any], name: str) -> SafeString:
    """The shares of scores in each bin of the reference, as bars, and the reference's, as steps before them."""
    columns = score_columns(about)
    most = max(max(now, before) for _, now, before in columns)
    plot = Plot(float(len(columns)), 0.0, most * 1.08 or 1.0)
    drawn: list[str] = []
    for place, (_, now, before) in enumerate(columns):
        left, width = plot.x(place), plot.x(1.0) - plot.x(0.0)
        drawn.append(drawings.rectangle("bar", left + width * 0.1, plot.y(now), width * 0.8, plot.bottom - plot.y(now)))
        y = drawings.at(plot.y(before))
        drawn.append(
            format_html('<path class="bound" d="M{} {}H{}"/>', drawings.at(left), y, drawings.at(left + width))
        )
    ticks = [(tick, shown.percent(tick)) for tick in drawings.steps(0.0, plot.high)]
    every = math.ceil(len(columns) / 6)
    marks_of = [(place + 0.5, text) for place, (text, _, _) in enumerate(columns) if place % every == 0]
    what = "predicted probability" if about["of"] != "value" else "predicted value"
    frame = [*drawings.scale(plot, ticks), *drawings.axis(plot, marks_of, f"{what}, up to")]
    far = max(columns, key=lambda one: abs(one[1] - one[2]))
    says = (
        f"The bars are the shares of answers by {what}, the dashed marks those of the reference. They differ most at "
        f"“{far[0]}”: {shown.percent(far[1])} now, {shown.percent(far[2])} in the reference."
    )
    return drawings.svg(
        key, plot.height, f"Scores of {name}", says, [*frame, *drawn, drawings.caption("Share of answers")]
    )


def score_columns(about: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """The bins in their order: up to what, the share now, and in the reference."""
    outside = [one for one in _OUTSIDE if about[one] or about["reference"][one]]
    now = [*about["counts"], *(about[one] for one in outside)]
    before = [*about["reference"]["counts"], *(about["reference"][one] for one in outside)]
    names = [f"{edge:.3g}" for edge in about["edges"]] + [_OUTSIDE[one] for one in outside]
    # Where nothing was answered, nothing has a share.
    return [
        (name, one / (sum(now) or 1), other / (sum(before) or 1))
        for name, one, other in zip(names, now, before, strict=True)
    ]


def slices(key: str, about: Mapping[str, Any], overall: float | None, title: str) -> SafeString:
    """A row for each value of a feature: how right answers were, and where that lies; a flag at a gap beyond chance."""
    measure, listed = about["measure"], about["slices"]
    known = [one for one in listed if (one[measure] or {}).get("value") is not None]
    ends = [one[measure][end] for one in known for end in ("low", "value", "high") if one[measure][end] is not None]
    ends += [] if overall is None else [overall]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.05 * (high - low) or 0.01
    low, high = max(low - room, 0.0), high + room
    height = drawings.TOP + _ROW * len(listed) + 28

    def across(value: float) -> float:
        return _ASIDE + (WIDTH - _ASIDE - 20) * (value - low) / (high - low)

    drawn: list[str] = []
    for tick in drawings.steps(low, high):
        x, text = drawings.at(across(tick)), shown.percent(tick) if measure == "accuracy" else f"{tick:.4g}"
        drawn.append(format_html('<path class="grid" d="M{} {}V{}"/>', x, drawings.TOP, height - 24))
        drawn.append(format_html('<text class="middle" x="{}" y="{}">{}</text>', x, height - 8, text))
    if overall is not None:
        x = drawings.at(across(overall))
        drawn.append(format_html('<path class="zero" d="M{} {}V{}"/>', x, drawings.TOP, height - 24))
    for place, one in enumerate(listed):
        drawn += _slice(one, measure, is_gap(about, one), drawings.TOP + _ROW * place + _ROW / 2, across)
    text = "Right answers (accuracy) by value" if measure == "accuracy" else "Mean absolute error by value"
    says = "The values with where their figures lie with 95 %; the line is that of all rows. The table has the numbers."
    return drawings.svg(key, height, title, says, [*drawn, drawings.caption(text)])


def is_gap(about: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """Whether this value of the feature is the one that differs from the others beyond chance."""
    gap = about["largest_gap"]
    return bool(gap and gap["is_beyond_chance"] and (gap["kind"], gap["value"]) == (one["kind"], one["value"]))


def value_name(one: Mapping[str, Any]) -> str:
    """The value of a slice."""
    return {"null": "(missing)", "other": "(other)"}.get(one["kind"], str(one["value"]))


def _slice(one: Mapping[str, Any], measure: str, is_far: bool, y: float, across: Any) -> list[str]:
    kind = "gap" if is_far else "dot"
    name = drawings.shortened(value_name(one), _LETTERS)
    drawn: list[str] = [format_html('<text class="end" x="{}" y="{}">{}</text>', _ASIDE - 8, drawings.at(y + 4), name)]
    interval = one[measure]
    if interval is None or interval["value"] is None:
        return drawn
    if interval["low"] is not None and interval["high"] is not None:
        ends = (drawings.at(across(interval["low"])), drawings.at(y), drawings.at(across(interval["high"])))
        drawn.append(format_html('<path class="whisker {}" d="M{} {}H{}"/>', kind, *ends))
    x = drawings.at(across(interval["value"]))
    drawn.append(format_html('<circle class="{}" cx="{}" cy="{}" r="4"/>', kind, x, drawings.at(y)))
    return drawn


def drift(key: str, found: Trials, asked: Range, name: str) -> SafeString:
    """A row for each of the features with the largest excess, a field for each test: the darker, the larger."""
    names = drift_rows(found)
    height = drawings.TOP + _ROW * (len(names) + 1) + 40
    plot = Plot(asked.end, 0.0, 1.0, first=asked.begin, height=height, left=_ASIDE)
    drawn: list[str] = []
    for place, feature in enumerate(["alarms", *names]):
        y = drawings.TOP + _ROW * place
        text = drawings.shortened(feature, _LETTERS)
        drawn.append(format_html('<text class="end" x="{}" y="{}">{}</text>', _ASIDE - 8, y + 15, text))
        if place:
            drawn.append(drawings.rectangle("rail", _ASIDE, y + 2, plot.edge - _ASIDE, _ROW - 4))
    spans = _spans(found, asked)
    for trial, (begin, end) in zip(found.read, spans, strict=True):
        left, width = plot.x(begin), max(plot.x(end) - plot.x(begin) - 0.4, 1.0)
        if trial.is_alarm:
            x = drawings.at(left + width / 2)
            drawn.append(format_html('<circle class="gap" cx="{}" cy="{}" r="3"/>', x, drawings.TOP + 11))
        judged = {one.name: one for one in trial.judged}
        for place, feature in enumerate(names, start=1):
            one = judged.get(feature)
            depth = 0 if one is None else sum(one.excess >= bound for bound in _DEPTHS)
            if one is not None and depth:
                kind = f"{'far' if one.is_drifted else 'near'} depth{depth}"
                drawn.append(drawings.rectangle(kind, left, drawings.TOP + _ROW * place + 2, width, _ROW - 4))
    says = (
        f"{found.alarms} of {found.made} tests found drift. Each field is a test of a feature, darker the larger the "
        "excess is, in another colour where the feature has drifted; a point above marks a test that found drift."
    )
    drawn += drawings.axis(plot, marks(plot), "time (UTC)")
    drawn.append(drawings.caption("How far features are from the reference"))
    return drawings.svg(key, height, f"Drift of {name} over time", says, drawn)


def drift_rows(found: Trials) -> list[str]:
    """The features and scores of which some test had the largest excess; the farthest first."""
    return drift_names(found)[:MOST_ROWS]


def drift_names(found: Trials) -> list[str]:
    """All features and scores that were judged, the farthest first."""
    farthest: dict[str, float] = {}
    for trial in found.read:
        for one in trial.judged:
            if one.excess > farthest.get(one.name, -math.inf):
                farthest[one.name] = one.excess
    return sorted(farthest, key=lambda name: -farthest[name])


def _spans(found: Trials, asked: Range) -> Sequence[tuple[float, float]]:
    # Where tests were left out, those that are drawn reach to the next one.
    whole = found.made == len(found.read)
    begins = [max(sql.hour_at(trial.from_at), asked.begin) for trial in found.read]
    ends = [min(sql.hour_at(trial.to_at), asked.end) for trial in found.read]
    if not whole:
        ends = [max(end, after) for end, (_, after) in zip(ends, pairwise([*begins, ends[-1]]), strict=True)]
    return list(zip(begins, ends, strict=True))


def _corners(plot: Plot) -> tuple[str, ...]:
    return tuple(drawings.at(one) for one in (plot.x(0.0), plot.y(0.0), plot.x(1.0), plot.y(1.0)))
