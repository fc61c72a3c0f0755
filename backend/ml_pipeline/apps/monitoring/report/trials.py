"""Trials: the tests for drift whose windows reach into a range, as many of them as a page can show."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from ml_pipeline.apps.monitoring.models import DriftTest
from ml_pipeline.apps.monitoring.readings import Range

# Tests of one algorithm that are read, and features of all of them together.
MOST_READ: Final = 96
_MOST_JUDGED = 40_000
_ABOUT = ("pk", "parent_mlalgorithm_id", "from_at", "to_at", "rows", "tested", "is_alarm")


class Judged(msgspec.Struct):
    """What a test says of one feature; what is not named is passed over."""

    name: str
    excess: float
    is_drifted: bool


class _Result(msgspec.Struct):
    features: list[Judged]
    score: Judged | None = None


class Trial(NamedTuple):
    """One test, and what it says of each feature and of the scores, the largest excess first."""

    pk: int
    from_at: datetime
    to_at: datetime
    rows: int
    tested: int
    is_alarm: bool
    judged: list[Judged]


class Trials(NamedTuple):
    """The tests of an algorithm: `made` is how many there are, `alarms` how many found drift, `read` those that were
    read, in their order, and `newest` the result of the newest, as the API has it.
    """

    made: int
    alarms: int
    read: list[Trial]
    newest: dict[str, Any]


class _Row(NamedTuple):
    pk: int
    algorithm_id: int
    from_at: datetime
    to_at: datetime
    rows: int
    tested: int
    is_alarm: bool


_result = msgspec.json.Decoder(_Result)


def within(algorithm_ids: Collection[int], asked: Range) -> dict[int, Trials]:
    """By algorithm, of those that were tested."""
    tests = DriftTest.objects.filter(
        parent_mlalgorithm__in=list(algorithm_ids), to_at__gt=asked.begins_at, from_at__lt=asked.ends_at
    )
    by_algorithm: dict[int, list[_Row]] = {}
    for found in tests.order_by("from_at").values_list(*_ABOUT):
        row = _Row(*found)
        by_algorithm.setdefault(row.algorithm_id, []).append(row)
    return {pk: _trials(rows) for pk, rows in by_algorithm.items()}


def _trials(rows: Sequence[_Row]) -> Trials:
    chosen = _thinned(rows)
    texts = dict(DriftTest.objects.filter(pk__in=[row.pk for row in chosen]).values_list("pk", "result"))
    read = [_trial(row, _result.decode(texts[row.pk])) for row in chosen if row.pk in texts]
    newest = json.loads(texts[read[-1].pk]) if read else {}
    return Trials(len(rows), sum(row.is_alarm for row in rows), read, newest)


def _thinned(rows: Sequence[_Row]) -> list[_Row]:
    # One of each run of neighbours, one with an alarm where there is; the newest always.
    most = max(min(MOST_READ, _MOST_JUDGED // max(row.tested for row in rows) or 1), 2)
    if len(rows) <= most:
        return list(rows)
    bounds = [len(rows) * place // (most - 1) for place in range(most)]
    runs = [rows[begin:end] for begin, end in pairwise(bounds)]
    chosen = [max(run, key=lambda row: (row.is_alarm, row.from_at)) for run in runs]
    return chosen if chosen[-1] == rows[-1] else [*chosen, rows[-1]]


def _trial(row: _Row, result: _Result) -> Trial:
    judged = [*result.features, *([] if result.score is None else [result.score])]
    judged.sort(key=lambda one: -one.excess)
    return Trial(row.pk, row.from_at, row.to_at, row.rows, row.tested, row.is_alarm, judged)
