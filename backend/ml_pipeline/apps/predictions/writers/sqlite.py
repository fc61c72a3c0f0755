"""The writer for SQLite: statements of many rows, prepared once, on the connection itself."""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ml_pipeline.apps.abtests.models import UncountedAnswers
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions import writers
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.writers import Batch, Entry, T, Uncounted

# Rows of one statement, far below the most parameters that SQLite takes. Each statement gives up Python's lock once:
# with one a row this thread would have to get it back from the event loop as often.
ROWS_A_STATEMENT = 64
IS_LOCAL = True
# How often a patient one looks whether it may write. SQLite's own waiting looks ever more rarely, after a while ten
# times a second: between others who write all the time it hardly finds a gap.
LOOK_S = 0.0005


@functools.cache
def _insert(table: str, columns: str, rows: int) -> str:
    values = f"({', '.join('?' * len(columns.split(',')))})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([values] * rows)}"  # noqa: S608


def patiently(connection: BaseDatabaseWrapper, attempt: Callable[[], T]) -> T:
    """See `Writer.patiently`."""
    connection.ensure_connection()
    prepare(connection)
    return _found_free(attempt, _patience_s(connection))


def prepare(connection: BaseDatabaseWrapper) -> None:
    """See `Writer.prepare`: from now on SQLite itself waits for nobody."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.execute("PRAGMA busy_timeout=0")


def write(
    connection: BaseDatabaseWrapper,
    batch: Batch,
    entries: list[Entry],
    uncounted: Sequence[Uncounted],
    *,
    is_patient: bool,
) -> None:
    """See `Writer.write`. The write lock is taken first, and waited for, instead of in the middle."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        _found_free(lambda: database.execute("BEGIN IMMEDIATE"), _patience_s(connection) if is_patient else 0.0)
        _add(database, batch, entries)
        for one in uncounted:
            insert = _insert(writers.table(UncountedAnswers), writers.UNCOUNTED_COLUMNS, 1)
            database.execute(insert, one)


def add(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry]) -> int:
    """See `Writer.add`."""
    with connection.wrap_database_errors:
        return _add(connection.connection, batch, entries)


def commit(connection: BaseDatabaseWrapper) -> None:
    """See `Writer.commit`."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.execute("COMMIT")


def _patience_s(connection: BaseDatabaseWrapper) -> float:
    return float(connection.settings_dict["OPTIONS"]["timeout"])


def _found_free(attempt: Callable[[], T], patience_s: float) -> T:
    until = time.monotonic() + patience_s
    while True:
        try:
            return attempt()
        except (OperationalError, sqlite3.OperationalError) as error:
            if not _is_busy(error) or time.monotonic() >= until:
                raise
            time.sleep(LOOK_S)


def _is_busy(error: Exception) -> bool:
    # Django's has SQLite's as its cause.
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _add(database: Any, batch: Batch, entries: list[Entry]) -> int:
    insert = _insert(writers.table(JournalBatch), writers.BATCH_COLUMNS, 1)
    batch_id: int = database.execute(insert, (batch.writer.hex, *batch[1:])).lastrowid
    rows = writers.placed(entries, batch_id)
    for begin in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[begin : begin + ROWS_A_STATEMENT]
        insert = _insert(writers.table(MLRequest), writers.ENTRY_COLUMNS, len(part))
        database.execute(insert, [value for row in part for value in row])
    return batch_id
