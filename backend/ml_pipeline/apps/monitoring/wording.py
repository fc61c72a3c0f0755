"""Wording: in plain words, where the rows of a feature are that did not use to be there, and what an alert is about."""

from __future__ import annotations

from collections.abc import Sequence

from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring.models import Alert
from ml_pipeline.apps.monitoring.subjects import Part


def told(part: Part, reference: Sequence[int], window: Sequence[int], place: int) -> str:
    """One sentence on the place that differs most; of numbers also whether they are larger or smaller on the whole."""
    name = part.name or "score"
    before, now = reference[place] / sum(reference), window[place] / sum(window)
    shares = f"{_share(now)} of rows {_where(part, reference, window, place)}, {_share(before)} in the reference"
    return f"{name}: {_way(part, reference, window)}{shares}"


def of_alert(alert: Alert, algorithm: MLAlgorithm | None) -> str:
    """One sentence: which figure of what is or was beyond its threshold; a long name of a feature is left out."""
    name = alert.feature or alert.label
    what = f"{alert.measure} of {name}" if 0 < len(name) <= 60 else alert.measure
    whose = "" if algorithm is None else f" of {algorithm}"
    value = alert.value if alert.closing_value is None else alert.closing_value
    tense = "was" if alert.closed_at is not None and alert.closing_value is None else "is"
    rule = f"the rule says {alert.condition} {_number(alert.threshold)}"
    return f"{alert.name}: {what}{whose} {tense} {_number(value)}, {rule}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def _where(part: Part, reference: Sequence[int], window: Sequence[int], place: int) -> str:
    about = part.about
    bounds = about["edges"] if about["kind"] == "numeric" else about["categories"]
    if place >= len(bounds):
        kind = bins.OUTSIDE[about["kind"]][place - len(bounds)]
        return {
            "null": "are missing",
            "below": "are below the smallest of the reference",
            "above": "are above the largest of the reference",
            "other": "have a value that is rare or unknown in the reference",
        }[kind]
    if about["kind"] != "numeric":
        return f"are {bounds[place]!r}"
    # Bins without rows are judged with the next one.
    first = place
    while first and not reference[first - 1] and not window[first - 1]:
        first -= 1
    if first == 0:
        return f"are {bounds[place]:g} or less"
    return f"are above {bounds[first - 1]:g} and at most {bounds[place]:g}"


def _way(part: Part, reference: Sequence[int], window: Sequence[int]) -> str:
    if part.about["kind"] != "numeric":
        return ""
    larger = _above(part, window, reference)
    if larger is None or abs(larger - 0.5) < 0.05:
        return ""
    return "larger than in the reference, " if larger > 0.5 else "smaller than in the reference, "


def _above(part: Part, window: Sequence[int], reference: Sequence[int]) -> float | None:
    # The chance that a number of the window is larger than one of the reference, by their bins; ties count half.
    after, before = _in_order(part, window), _in_order(part, reference)
    total = sum(after) * sum(before)
    if not total:
        return None
    below, pairs = 0.0, 0.0
    for here, there in zip(after, before, strict=True):
        pairs += here * (below + there / 2)
        below += there
    return pairs / total


def _in_order(part: Part, counts: Sequence[int]) -> list[int]:
    size = len(part.about["edges"])
    _, below, above = counts[size:]
    return [below, *counts[:size], above]


def _share(share: float) -> str:
    percent = share * 100
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"
