"""MySQL and MariaDB: how they are connected to, and that text there compares as on SQLite and PostgreSQL.

Their usual collations take `A` for `a`, and even their plain binary ones take `a` for `a` with a space after it. Names
that differ must not meet in a unique column, and a filter must find what it names. So tables are made in a database
whose default collation is binary and pads nothing; Django can say that of a column at most.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandError
from django.db import Error, connections

ENGINE: Final = "django.db.backends.mysql"
# Overruled by the query of ML_PIPELINE_DATABASE_URL: `mysql://…/name?read_timeout=3600`.
OPTIONS: Final[dict[str, Any]] = {
    "charset": "utf8mb4",
    # Each statement sees what is committed: whoever waited for a lock sees what its holder did.
    "isolation_level": "read committed",
    # What does not fit is refused, never cut or rounded into place.
    "sql_mode": "TRADITIONAL",
    # Seconds: for a connection, for a lock as on SQLite, and for each answer of the server.
    "connect_timeout": 10,
    "init_command": "SET SESSION innodb_lock_wait_timeout = 10",
    "read_timeout": 60,
    "write_timeout": 60,
}

# Binary ones of either server that do not pad.
_OTHERS = r"""
    SELECT c.table_name, c.column_name, c.collation_name FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.collation_name NOT LIKE '%\_nopad\_bin'
    AND c.collation_name <> 'utf8mb4_0900_bin' {} ORDER BY c.table_name, c.ordinal_position
"""
# MariaDB's type JSON is text of this collation, whatever the table's, with a check; nobody looks for such text.
_JSON = """
    AND NOT (c.collation_name = 'utf8mb4_bin' AND c.data_type = 'longtext' AND EXISTS (
        SELECT 1 FROM information_schema.check_constraints k
        WHERE k.constraint_schema = c.table_schema AND k.table_name = c.table_name
        AND k.check_clause = CONCAT('json_valid(`', c.column_name, '`)')
    ))
"""
# Where the log's ids have a type of their own, their order must be that of time.
_IN_ORDER = """
    SELECT CAST('01a2076e-ffff-7fff-bfff-ffffffffffff' AS uuid) < CAST('01a2076f-0000-7000-8000-000000000000' AS uuid)
"""


def prepare(*, using: str, **_: Any) -> None:
    """The database's default collation is exact, before the first table is made; on other databases, nothing.

    Raises CommandError where the collation may not be changed, where tables with another exist already, and for a
    MariaDB that sorts ids wrongly.
    """
    connection: Any = connections[using]
    if connection.vendor != "mysql":
        return
    with connection.cursor() as cursor:
        if connection.features.has_native_uuid_field:
            _refuse_disorder(cursor)
        # Neither knows the other's: binary collations that do not pad.
        if connection.mysql_is_mariadb:
            _make_exact(cursor, "utf8mb4_nopad_bin", _OTHERS.format(_JSON))
        else:
            _make_exact(cursor, "utf8mb4_0900_bin", _OTHERS.format(""))


def _refuse_disorder(cursor: Any) -> None:
    cursor.execute(_IN_ORDER)
    if cursor.fetchone() != (1,):
        raise CommandError("This MariaDB does not sort the log's ids by time. Take 10.11.5, 11.1.2 or a newer one.")


def _make_exact(cursor: Any, wanted: str, others: str) -> None:
    cursor.execute(others)
    other = cursor.fetchone()
    if other is not None:
        raise CommandError(
            f"The column {other[0]}.{other[1]} compares text by {other[2]}, so names that differ would be taken "
            f"for one. Give ML_Pipeline a database of its own, or convert every table there to {wanted}."
        )
    cursor.execute("SELECT @@collation_database")
    (present,) = cursor.fetchone()
    if present == wanted:
        return
    statement = f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {wanted}"
    try:
        cursor.execute(statement)
    except Error as error:
        raise CommandError(
            f"The database compares text by {present}, and this user may not change that ({error}). As one who "
            f"may, in that database: {statement}"
        ) from None
