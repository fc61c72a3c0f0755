"""The writer for MySQL: one INSERT of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ml_pipeline.apps.abtests.models import UncountedAnswers
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions import writers
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.writers import Batch, Entry, Uncounted

IS_LOCAL = False


def _insert(table: str, columns: str) -> str:
    # Quoted: `rows` is a word of MySQL's own.
    names = [f"`{name.strip()}`" for name in columns.split(",")]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608


_BATCH = _insert(writers.table(JournalBatch), writers.BATCH_COLUMNS)
_ENTRY = _insert(writers.table(MLRequest), writers.ENTRY_COLUMNS)
_UNCOUNTED = _insert(writers.table(UncountedAnswers), writers.UNCOUNTED_COLUMNS)


def write(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry], uncounted: Sequence[Uncounted]) -> None:
    """See `Writer.write`."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.query("START TRANSACTION")
        cursor = database.cursor()
        _add(cursor, batch, entries)
        if uncounted:
            cursor.executemany(_UNCOUNTED, uncounted)
        cursor.close()


def add(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry]) -> int:
    """See `Writer.add`."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        cursor = database.cursor()
        batch_id = _add(cursor, batch, entries)
        cursor.close()
    return batch_id


def commit(connection: BaseDatabaseWrapper) -> None:
    """See `Writer.commit`."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.commit()


def _add(cursor: Any, batch: Batch, entries: list[Entry]) -> int:
    cursor.execute(_BATCH, (batch.writer.hex, *batch[1:]))
    batch_id: int = cursor.lastrowid
    cursor.executemany(_ENTRY, writers.placed(entries, batch_id))
    return batch_id
