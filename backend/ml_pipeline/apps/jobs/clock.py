"""The database's clock, by which all that several processes must agree on is judged; theirs may be hours off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now


class DatabaseNow(Now):
    """Now, by the database's clock; on MySQL in UTC, which knows no summer time."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """MySQL's function."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


def due(in_s: float) -> Any:
    """The moment in so many seconds; without any it has come."""
    # SQLite compares texts, and writes a sum with more digits: of the same millisecond it would be the later one.
    return DatabaseNow() + timedelta(seconds=in_s) if in_s else DatabaseNow()
