"""SQL of the log: rows as the database gives them, without Django's conversions, which cost more than the rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Model

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The number of its hour since 1970, or, on SQLite, what that is read from.
_HOURS = {
    "sqlite": "SUBSTR(created_at || '', 1, 13)",
    "postgresql": "CAST(FLOOR(EXTRACT(EPOCH FROM created_at) / 3600) AS BIGINT)",
    "mysql": "TIMESTAMPDIFF(HOUR, '1970-01-01', created_at)",
}


def fetched(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows that the statement selects."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def table(model: type[Model]) -> str:
    """Its name, quoted."""
    return connection.ops.quote_name(model._meta.db_table)


def places(values: Iterable[Any]) -> str:
    """A place for each of `values`."""
    return ", ".join("%s" for _ in values)


def hour_column() -> str:
    """What is selected of a row's time for `hour_of`."""
    return _HOURS[connection.vendor]


def hour_of(found: Any) -> int | None:
    """The number of the hour since 1970 that `hour_column` selected; None where that is no time."""
    return int(found) if isinstance(found, int) else _hour_of_text(found)


def begins_at(hour: int) -> datetime:
    """When the hour of this number since 1970 begins."""
    return EPOCH + timedelta(hours=hour)


def hour_at(moment: datetime) -> int:
    """The number of the hour since 1970 in which `moment` is."""
    return (moment - EPOCH) // timedelta(hours=1)


@cache
def _hour_of_text(text: Any) -> int | None:
    # SQLite keeps anything in any column.
    try:
        return hour_at(datetime.fromisoformat(f"{text}:00:00+00:00"))
    except (ValueError, OverflowError):
        return None
