"""Windows: the totals of hours, days and weeks as they are stored. Whatever changes them does it here.

Only the job that folds does, under its lease, so what it has read or written stays as it is until it writes again, and
little is left to do in the transaction that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q

from ml_pipeline.apps.monitoring import sql, totals
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.monitoring.totals import Totals

# In hours. Days are UTC's; weeks begin on Thursdays, as time does.
HOUR, DAY, WEEK = 1, 24, 168
SPANS = (HOUR, DAY, WEEK)
# Windows that are kept to be added to; a full one takes a few ten kB.
MOST_KEPT = 300
_WINDOWS_A_QUERY = 100


class Key(NamedTuple):
    """A window: of an algorithm, so many hours from that hour since 1970 on."""

    algorithm_id: int
    hours: int
    hour: int

    @property
    def fields(self) -> dict[str, Any]:
        """Its columns in the table."""
        return {
            "parent_mlalgorithm_id": self.algorithm_id,
            "hours": self.hours,
            "begins_at": sql.begins_at(self.hour),
        }


class Windows:
    """The windows that are being added to. Dropped when a transaction fails: it knows what was to be written."""

    def __init__(self) -> None:
        self._known: dict[Key, Totals] = {}
        self._stored: set[Key] = set()

    def added(self, by_hour: Mapping[tuple[int, int], Totals]) -> dict[Key, dict[str, Any]]:
        """What `write` is to store, by algorithm and hour since 1970; outside any transaction."""
        fresh: dict[Key, Totals] = {}
        for (algorithm_id, hour), more in by_hour.items():
            for hours in SPANS:
                key = Key(algorithm_id, hours, hour - hour % hours)
                fresh[key] = fresh[key] + more if key in fresh else more
        self._forget(fresh)
        self._read([key for key in fresh if key not in self._known])
        for key, more in fresh.items():
            # The latest at the end.
            before = self._known.pop(key, None)
            self._known[key] = more if before is None else before + more
        return {key: self._known[key].columns() for key in fresh}

    def write(self, columns: Mapping[Key, Mapping[str, Any]]) -> None:
        """What `added` gave is stored. Belongs in the transaction that takes what was added."""
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError("write() belongs in the transaction that takes what was added")
        Window.objects.bulk_create(
            [Window(**key.fields, **changes) for key, changes in columns.items() if key not in self._stored]
        )
        for key, changes in columns.items():
            if key in self._stored:
                Window.objects.filter(**key.fields).update(**changes)
        self._stored |= columns.keys()

    def _forget(self, needed: Iterable[Key]) -> None:
        wanted = set(needed)
        spare = [key for key in self._known if key not in wanted]
        for key in spare[: max(len(self._known) - MOST_KEPT, 0)]:
            del self._known[key]
            self._stored.discard(key)

    def _read(self, keys: list[Key]) -> None:
        names = ("parent_mlalgorithm_id", "hours", "begins_at", *totals.WHOLE, *totals.PARTS)
        for begin in range(0, len(keys), _WINDOWS_A_QUERY):
            is_one = Q()
            for key in keys[begin : begin + _WINDOWS_A_QUERY]:
                is_one |= Q(**key.fields)
            for row in Window.objects.filter(is_one).values(*names):
                key = Key(row["parent_mlalgorithm_id"], row["hours"], sql.hour_at(row["begins_at"]))
                self._known[key] = totals.summed([row])
                self._stored.add(key)
