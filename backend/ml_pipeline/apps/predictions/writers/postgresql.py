"""The writer for PostgreSQL: COPY, the rows as text."""

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
_BATCH = (
    f"INSERT INTO {writers.table(JournalBatch)} ({writers.BATCH_COLUMNS}) "  # noqa: S608
    "VALUES ('{writer}', {seq}, {rows}, '{sha256}', '{created_at}+00') RETURNING id"
)
_ENTRIES = f"COPY {writers.table(MLRequest)} ({writers.ENTRY_COLUMNS}) FROM STDIN"
_UNCOUNTED = f"INSERT INTO {writers.table(UncountedAnswers)} ({writers.UNCOUNTED_COLUMNS}) VALUES (%s, %s)"  # noqa: S608
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def write(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry], uncounted: Sequence[Uncounted]) -> None:
    """See `Writer.write`."""
    database: Any = connection.connection
    with connection.wrap_database_errors, database.cursor() as cursor:
        # Both in one message.
        cursor.execute(f"BEGIN; {_inserted(batch)}")
        cursor.nextset()
        _copy(cursor, entries)
        if uncounted:
            cursor.executemany(_UNCOUNTED, uncounted)


def add(connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry]) -> int:
    """See `Writer.add`."""
    database: Any = connection.connection
    with connection.wrap_database_errors, database.cursor() as cursor:
        cursor.execute(_inserted(batch))
        return _copy(cursor, entries)


def commit(connection: BaseDatabaseWrapper) -> None:
    """See `Writer.commit`."""
    database: Any = connection.connection
    with connection.wrap_database_errors:
        database.execute("COMMIT")


def _inserted(batch: Batch) -> str:
    # All of it is made here: numbers, hex digits and a time.
    return _BATCH.format(**batch._asdict())


def _copy(cursor: Any, entries: list[Entry]) -> int:
    batch_id: int = cursor.fetchone()[0]
    with cursor.copy(_ENTRIES) as copy:
        copy.write("".join(_line(entry, batch_id, position) for position, entry in enumerate(entries)))
    return batch_id


def _line(entry: Entry, batch_id: int, position: int) -> str:
    # JSON texts have no raw control characters, so of these only backslashes are escaped.
    fields = (
        entry.id,
        str(entry.algorithm_id),
        entry.outcome,
        str(entry.revision),
        entry.input_data.replace("\\", r"\\"),
        entry.full_response.replace("\\", r"\\"),
        r"\N" if entry.response is None else entry.response.translate(_ESCAPES),
        r"\N" if entry.probability is None else repr(entry.probability),
        str(entry.latency_us),
        r"\N" if entry.unit is None else entry.unit.translate(_ESCAPES),
        r"\N" if entry.key_id is None else str(entry.key_id),
        f"{entry.created_at}+00",
        r"\N" if entry.test_id is None else str(entry.test_id),
        r"\N" if entry.arm is None else str(entry.arm),
        r"\N" if entry.job_id is None else str(entry.job_id),
        str(batch_id),
        f"{position}\n",
    )
    return "\t".join(fields)
