"""Slicing: how right answers were for each value of a feature, and whether one value fares worse than the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring.measurements import MOST_LABELS
from ml_pipeline.apps.monitoring.subjects import MOST_SLICES, Part, Subject
from ml_pipeline.apps.monitoring.totals import Numbers, Totals
from ml_pipeline.stats import intervals, slices
from ml_pipeline.stats.slices import Comparison


def told(subject: Subject, totals: Totals, names: Iterable[str]) -> list[dict[str, Any]]:
    """For each of these features its slices with rows, and the one farthest from the others; or why there are none."""
    parts = {part.name: part for part in subject.parts}
    found = []
    for name in names:
        reason = _reason(subject, parts.get(name))
        if reason:
            found.append({"feature": name, "unavailable": reason})
        else:
            found.append({"feature": name, **_sliced(subject, parts[name], totals.slices.get(name))})
    return found


def _reason(subject: Subject, part: Part | None) -> str | None:
    if subject.profile is None:
        return "The algorithm was registered without reference rows."
    if part is None:
        return "The algorithm has no feature of this name."
    if part.is_sliced:
        return None
    if part.known is None:
        return "The feature is a number."
    return f"The feature has more than {MOST_SLICES} categories."


def _sliced(subject: Subject, part: Part, sums: Numbers | None) -> dict[str, Any]:
    measure = "accuracy" if subject.is_classifier else "mae"
    if sums is None:
        return {"measure": measure, "slices": [], "comparisons": 0, "largest_gap": None}
    measured = _measured(subject, sums)
    found = _compared(subject, measured)
    values = [*part.about["categories"], *([None] * len(bins.OUTSIDE["categorical"]))]
    kinds = [*(["category"] * len(part.about["categories"])), *bins.OUTSIDE["categorical"]]
    listed = [
        {"value": value, "kind": kind, **_own(subject, measure, one.tolist())}
        for value, kind, one in zip(values, kinds, measured, strict=True)
        if one[0]
    ]
    place = slices.largest(found, is_more_worse=not subject.is_classifier)
    farthest = None if place is None else found[place]
    gap = None
    if place is not None and farthest is not None:
        gap = {"value": values[place], "kind": kinds[place], **_beside(farthest)}
    return {"measure": measure, "slices": listed, "comparisons": slices.comparisons(measured[:, 0]), "largest_gap": gap}


def _measured(subject: Subject, sums: Numbers) -> Numbers:
    # Rows, and of them the right ones or the sums of errors.
    labels = len(subject.labels)
    if not subject.is_classifier or labels > MOST_LABELS:
        return sums
    right = np.arange(labels) * (labels + 1)
    return np.stack([sums.sum(axis=1), sums[:, right].sum(axis=1)], axis=1)


def _compared(subject: Subject, measured: Numbers) -> Sequence[Comparison | None]:
    if subject.is_classifier:
        return slices.shares(measured[:, 0], measured[:, 1])
    return slices.means(measured[:, 0], measured[:, 1], measured[:, 2])


def _own(subject: Subject, measure: str, sums: Sequence[float]) -> dict[str, Any]:
    rows = int(sums[0])
    if subject.is_classifier:
        return {"rows": rows, measure: intervals.proportion(sums[1], rows)}
    return {"rows": rows, measure: intervals.mean(rows, sums[1], sums[2], lowest=0.0)}


def _beside(one: Comparison) -> dict[str, Any]:
    return {
        "rows": one.rows,
        "own": one.own,
        "others": one.others,
        "difference": one.difference,
        "p": one.p,
        "q": one.q,
        "is_beyond_chance": one.is_beyond_chance,
    }
