"""The writer for SQLite: statements of many rows, prepared once, on the connection itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ml_pipeline.apps.abtests.models import UncountedAnswers
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions import writers
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.writers import Batch, Entry, Uncounted

# Rows of one statement, far below the most parameters that SQLite takes. Each statement gives up Python's lock once:
# with one a row this thread would have to get it back from the event loop as often.
ROWS_A_STATEMENT = 64
IS_LOCAL = True


@functools.cache
def _insert(table: str, columns: str, rows: int) -> str:
    values = f"({', '.join('?' * len(columns.split(',')))})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([values] * rows)}"  # noqa: S608


def write(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry], uncounted: Sequence[Uncounted]) -> None:
    """See `Writer.write`. The write lock is taken first instead of in the middle."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.execute("BEGIN IMMEDIATE")
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


def _add(database: Any, batch: Batch, entries: list[Entry]) -> int:
    insert = _insert(writers.table(JournalBatch), writers.BATCH_COLUMNS, 1)
    batch_id: int = database.execute(insert, (batch.writer.hex, *batch[1:])).lastrowid
    rows = writers.placed(entries, batch_id)
    for begin in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[begin : begin + ROWS_A_STATEMENT]
        insert = _insert(writers.table(MLRequest), writers.ENTRY_COLUMNS, len(part))
        database.execute(insert, [value for row in part for value in row])
    return batch_id
