"""Courses: headline figures of algorithms over time, step by step, read from no more of the windows than they need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ml_pipeline.apps.monitoring import figures, sql
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.stats import intervals
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.latencies import Latencies
from ml_pipeline.stats.regressions import Regression

_WHOLE = ("requests", "errors", "labelled", "correct")


class Step(NamedTuple):
    """What the algorithms did in one step, which begins then; those that did nothing are not there."""

    begins_at: datetime
    figures: dict[int, dict[str, Any]]


class _Traffic(msgspec.Struct):
    # What is not named is passed over, which is much quicker than reading it.
    latencies: dict[str, Any] | None = None


class _Performance(msgspec.Struct):
    estimate: dict[str, Any] | None = None
    regression: dict[str, Any] | None = None


_traffic = msgspec.json.Decoder(_Traffic)
_performance = msgspec.json.Decoder(_Performance)


def steps(about: Mapping[int, Subject], within: Range, hours: int) -> list[Step]:
    """The figures of these algorithms in steps of so many hours, in order; a step in which nothing was done is not
    there."""
    found: dict[int, dict[int, list[Sequence[Any]]]] = {}
    for step, algorithm_id, row in _rows(about, within, hours):
        found.setdefault(step, {}).setdefault(algorithm_id, []).append(row)
    return [
        Step(sql.begins_at(step * hours), {pk: _figures(about[pk], rows) for pk, rows in by_algorithm.items()})
        for step, by_algorithm in sorted(found.items())
    ]


def _rows(algorithm_ids: Collection[int], within: Range, hours: int) -> list[tuple[int, int, Sequence[Any]]]:
    of_those = Window.objects.filter(parent_mlalgorithm__in=list(algorithm_ids))
    found = []
    for length, part in within.windows(hours):
        rows = of_those.filter(hours=length, begins_at__gte=part.begins_at, begins_at__lt=part.ends_at)
        names = ("begins_at", "parent_mlalgorithm_id", *_WHOLE, "traffic", "performance")
        found += [(sql.hour_at(at) // hours, pk, row) for at, pk, *row in rows.values_list(*names)]
    return found


def _figures(subject: Subject, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    requests, errors, labelled, correct = (sum(row[place] for row in rows) for place in range(len(_WHOLE)))
    read = [_performance.decode(row[-1]) for row in rows]
    estimate = Estimate.summed(one.estimate for one in read if one.estimate is not None)
    told = {
        "requests": requests,
        "errors": errors,
        "latency_us": _latency([_traffic.decode(row[-2]).latencies for row in rows]),
        "labelled": labelled,
    }
    if subject.is_classifier:
        accuracy = intervals.proportion(correct, labelled)
        return {**told, "accuracy": accuracy, "estimated_accuracy": estimate.metrics()["accuracy"]}
    regression = Regression.summed(one.regression for one in read if one.regression is not None)
    return {**told, "mae": regression.metrics()["mae"]}


def _latency(documents: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    latencies = Latencies.summed(one for one in documents if one is not None)
    return figures.quantiles(latencies) if latencies.count else None
