"""Logged: the requests of commits of the log, found without an index by commit, which every prediction would pay for.

Ids of requests begin with the time. A serving process makes them shortly before it commits them, so they lie in a span
of time that the commit's own time ends; a batch job's begin with when it was made and rise with the row, so they follow
on those of its commit before. Each commit says how many rows it has, so it is known when all are found. Where they are
not, they are looked for in a longer span, and at last in the whole log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from ml_pipeline.apps.endpoints import hooks
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.monitoring import sql
from ml_pipeline.apps.monitoring.measurements import Asked
from ml_pipeline.apps.predictions.models import JournalBatch

# Rows of one query.
PAGE_ROWS = 5_000
# Of commits that are sought together none is farther from the next.
_APART = timedelta(minutes=10)
# How long before its commit a request was made, and how far clocks may be off; where that was not enough, more.
_BEFORE = (timedelta(seconds=3), timedelta(minutes=2), timedelta(hours=2))
_AFTER = timedelta(seconds=2)
_COMMITS_A_QUERY = 500
_MOST_WRITERS = 10_000


class Commit(NamedTuple):
    """One commit of the log, as it is listed there."""

    pk: int
    writer: UUID
    rows: int
    created_at: datetime


class Row(NamedTuple):
    """A request: of which commit and algorithm, and what is measured of it."""

    batch_id: int
    algorithm_id: int
    asked: Asked


def commits(pks: Sequence[int]) -> list[Commit]:
    """Those of the commits with these ids that are there, by id."""
    rows = JournalBatch.objects.order_by("pk").values_list(*("pk", "writer", "rows", "created_at"))
    found: list[Commit] = []
    for begin in range(0, len(pks), _COMMITS_A_QUERY):
        found += map(Commit._make, rows.filter(pk__in=pks[begin : begin + _COMMITS_A_QUERY]))
    return found


class Search:
    """Looks for the rows of commits; it remembers how far it has come with each batch job."""

    def __init__(self) -> None:
        self._reached: dict[UUID, Any] = {}
        # When the job that is a writer was made; None for a serving process.
        self._made_at: dict[UUID, datetime | None] = {}

    def rows(self, sought: Sequence[Commit]) -> dict[int, list[Row]]:
        """The rows of `sought`, by commit; of one whose rows are gone fewer than it had."""
        found: dict[int, list[Row]] = {one.pk: [] for one in sought}
        missing = [one for one in sought if one.rows > 0]
        jobs = [one for one in missing if self._of_job(one) is not None]
        if jobs:
            self._find_of_jobs(jobs, found)
            missing = _incomplete(missing, found)
        for before in _BEFORE:
            for group in _near(missing):
                begin, end = _id_at(group[0].created_at - before), _id_at(group[-1].created_at + _AFTER)
                _find(group, found, begin, end)
            missing = _incomplete(missing, found)
        for start in range(0, len(missing), _COMMITS_A_QUERY):
            _find_anywhere(missing[start : start + _COMMITS_A_QUERY], found)
        return found

    def _of_job(self, one: Commit) -> datetime | None:
        if one.writer not in self._made_at:
            if len(self._made_at) >= _MOST_WRITERS:
                self._made_at.clear()
                self._reached.clear()
            self._made_at[one.writer] = hooks.writer_made_at(one.writer)
        return self._made_at[one.writer]

    def _find_of_jobs(self, jobs: Sequence[Commit], found: dict[int, list[Row]]) -> None:
        for writer in {one.writer for one in jobs}:
            its = [one for one in jobs if one.writer == writer]
            made_at = self._of_job(its[0])
            if made_at is not None:
                begin, end = _id_at(made_at), _id_at(made_at + timedelta(milliseconds=1))
                for start in (self._reached.get(writer, begin), begin):
                    last = _find(its, found, start, end)
                    if not _incomplete(its, found):
                        self._reached[writer] = last
                        break


def _incomplete(commits: Iterable[Commit], found: dict[int, list[Row]]) -> list[Commit]:
    missing = [one for one in commits if len(found[one.pk]) < one.rows]
    for one in missing:
        found[one.pk] = []
    return missing


def _near(commits: Iterable[Commit]) -> Iterator[list[Commit]]:
    group: list[Commit] = []
    for one in sorted(commits, key=lambda one: one.created_at):
        if group and one.created_at - group[-1].created_at > _APART:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _find(commits: Sequence[Commit], found: dict[int, list[Row]], begin: Any, end: Any) -> Any:
    # Rows with ids from `begin` to `end`, until all are found. Returns the last id that was looked at.
    pks = [one.pk for one in commits]
    remaining = sum(one.rows for one in commits)
    wanted, low, high = set(pks), min(pks), max(pks)
    statement = (
        f"SELECT id, {_columns()} FROM {sql.table(MLRequest)} WHERE id {{}} %s AND id < %s "  # noqa: S608
        f"AND batch_id BETWEEN %s AND %s ORDER BY id LIMIT %s"
    )
    most = min(remaining, PAGE_ROWS)
    last, page = begin, sql.fetched(statement.format(">="), begin, end, low, high, most)
    while page:
        for row in page:
            if row[1] in wanted:
                found[row[1]].append(_row(row[1:]))
                remaining -= 1
        last = page[-1][0]
        if remaining <= 0 or len(page) < most:
            break
        # No more: whoever looks for more reads on to the end of the span.
        most = min(remaining, PAGE_ROWS)
        page = sql.fetched(statement.format(">"), last, end, low, high, most)
    return last


def _find_anywhere(commits: Sequence[Commit], found: dict[int, list[Row]]) -> None:
    statement = f"SELECT {_columns()} FROM {sql.table(MLRequest)} WHERE batch_id IN ({sql.places(commits)})"  # noqa: S608
    for row in sql.fetched(statement, *(one.pk for one in commits)):
        found[row[0]].append(_row(row))


def _row(row: Sequence[Any]) -> Row:
    batch_id, algorithm_id, hour, *rest, is_erased = row
    return Row(batch_id, algorithm_id, Asked._make((sql.hour_of(hour), *rest, bool(is_erased))))


@cache
def _columns() -> str:
    names = ("batch_id", "parent_mlalgorithm_id", sql.hour_column(), "outcome", "job_id", "latency_us")
    texts = ("input_data", "response", "probability", "CASE WHEN full_response = 'null' THEN 1 ELSE 0 END")
    return ", ".join(names + texts)


def _id_at(moment: datetime) -> Any:
    made = UUID(int=max((moment - sql.EPOCH) // timedelta(milliseconds=1), 0) << 80)
    return MLRequest._meta.pk.get_db_prep_value(made, connection)
