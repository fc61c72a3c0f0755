"""Outcomes: feedback beside the requests that it is of. The first of a request counts, later ones are corrections.

Whoever appends feedback locks its request, so of two of one request that with the smaller id was committed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from ml_pipeline.apps.endpoints import hooks
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.apps.monitoring import sql
from ml_pipeline.apps.monitoring.measurements import OK, Labelled

_ROWS_A_QUERY = 500


class Outcome(NamedTuple):
    """The outcome that counts of a request. `is_reward` where a test was told a number instead of it, `is_answered`
    where there was an answer."""

    algorithm_id: int
    is_reward: bool
    is_answered: bool
    labelled: Labelled


def found(pks: Sequence[int]) -> list[Outcome]:
    """The outcomes that count among the feedback with these ids, in the order of `pks`; requests that are gone have
    none."""
    result: list[Outcome] = []
    for begin in range(0, len(pks), _ROWS_A_QUERY):
        result += _found(pks[begin : begin + _ROWS_A_QUERY])
    return result


def _found(pks: Sequence[int]) -> Iterator[Outcome]:
    told = _first(pks)
    requests = _requests([request_id for request_id, _ in told])
    rewarded = hooks.rewarded({one[2] for one in requests.values() if one[2] is not None})
    for request_id, value in told:
        if request_id in requests:
            algorithm_id, outcome, test_id, *answer = requests[request_id]
            labelled = Labelled._make((*answer, value))
            yield Outcome(algorithm_id, test_id in rewarded, outcome == OK, labelled)


def _first(pks: Sequence[int]) -> list[tuple[Any, str]]:
    # Request and value of those that are the first of their request, by id.
    feedback, places = sql.table(Feedback), sql.places(pks)
    rows = sql.fetched(
        f"SELECT id, request_id, value FROM {feedback} WHERE id IN ({places}) ORDER BY id",  # noqa: S608
        *pks,
    )
    ids = list({row[1] for row in rows})
    firsts = sql.fetched(
        f"SELECT MIN(id) FROM {feedback} WHERE request_id IN ({sql.places(ids)}) GROUP BY request_id",  # noqa: S608
        *ids,
    )
    chosen = {row[0] for row in firsts}
    return [(request_id, value) for pk, request_id, value in rows if pk in chosen]


def _requests(ids: Sequence[Any]) -> dict[Any, tuple[Any, ...]]:
    if not ids:
        return {}
    rows = sql.fetched(
        f"SELECT {_columns()} FROM {sql.table(MLRequest)} WHERE id IN ({sql.places(ids)})",  # noqa: S608
        *ids,
    )
    hours = ((row, sql.hour_of(row[4])) for row in rows)
    # What has no time has no hour to be counted in.
    return {row[0]: (*row[1:4], hour, *row[5:]) for row, hour in hours if hour is not None}


@cache
def _columns() -> str:
    names = ("id", "parent_mlalgorithm_id", "outcome", "test_id", sql.hour_column())
    return ", ".join((*names, "input_data", "response", "probability", "full_response"))
