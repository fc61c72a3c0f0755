"""The database's clock, by which all that several processes must agree on is judged; theirs may be hours off."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now


class DatabaseNow(Now):
    """Now, by the database's clock; on MySQL in UTC, which knows no summer time."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """MySQL's function."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)
