"""Readings: the totals of a range of time.

Hours are whole: a range begins with the hour in which its beginning lies, and ends with that in which its end does.
Whole weeks and days in it are read as such, so that a long range is few rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ml_pipeline.apps.monitoring import sql, totals
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.monitoring.totals import PARTS, WHOLE, Totals
from ml_pipeline.apps.monitoring.windows import SPANS, WEEK

# What is read where nothing else is asked for: neither features nor slices.
METRICS = ("traffic", "performance")


class Range(NamedTuple):
    """Whole hours, by their numbers since 1970: from `begin` to before `end`."""

    begin: int
    end: int

    @classmethod
    def of(cls, since: datetime, until: datetime) -> Range:
        """The hours in which something of the time from `since` to before `until` lies; both aware."""
        begin = sql.hour_at(since)
        return cls(begin, max(-((sql.EPOCH - until) // timedelta(hours=1)), begin))

    @property
    def begins_at(self) -> datetime:
        """When the first hour begins."""
        return sql.begins_at(self.begin)

    @property
    def ends_at(self) -> datetime:
        """When the last hour ends."""
        return sql.begins_at(self.end)

    def windows(self, most: int = WEEK) -> list[tuple[int, Range]]:
        """The windows that make it up, none longer than `most` hours, each hour in one of them: how long they are, and
        from where to where they are so long."""
        return [
            (hours, part)
            for hours, part in self._windows([one for one in SPANS if one <= most])
            if part.end > part.begin
        ]

    def _windows(self, spans: Sequence[int]) -> list[tuple[int, Range]]:
        *shorter, longest = spans
        if not shorter:
            return [(longest, self)]
        first, last = -(-self.begin // longest) * longest, self.end // longest * longest
        if first >= last:
            return self._windows(shorter)
        before, after = Range(self.begin, first), Range(last, self.end)
        return [*before._windows(shorter), (longest, Range(first, last)), *after._windows(shorter)]


def merged(algorithm_ids: Collection[int], within: Range, parts: Sequence[str] = METRICS) -> dict[int, Totals]:
    """The totals of each algorithm in a range of time; those that did nothing are not there."""
    rows = _rows(algorithm_ids, within.windows(), parts)
    return {one: totals.summed(its) for one, its in _by("parent_mlalgorithm_id", rows).items()}


def _rows(
    algorithm_ids: Collection[int], windows: Iterable[tuple[int, Range]], parts: Sequence[str]
) -> list[dict[str, Any]]:
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise ValueError(f"no such parts: {', '.join(sorted(unknown))}")
    names = ("parent_mlalgorithm_id", "begins_at", *WHOLE, *parts)
    of_those = Window.objects.filter(parent_mlalgorithm__in=list(algorithm_ids))
    rows: list[dict[str, Any]] = []
    for hours, part in windows:
        chosen = of_those.filter(hours=hours, begins_at__gte=part.begins_at, begins_at__lt=part.ends_at)
        rows += chosen.values(*names)
    return rows


def _by(name: str, rows: Iterable[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found
