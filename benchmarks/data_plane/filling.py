"""Millions of logged predictions, put into a home's SQLite database from outside: copies of really logged rows.

Ids and times are new and rise up to now, batches of one writer follow each other, everything else is as it was logged.
The columns are those that the tables have, so that a column more needs no change here.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

REQUESTS, BATCHES = "endpoints_mlrequest", "predictions_journalbatch"
ROWS_A_BATCH, ROWS_A_TRANSACTION = 32, 320_000
Row = list[Any]


def fill(database: Path, count: int, say: Callable[[str], None]) -> None:
    """`count` more logged predictions in `database`, which nobody else has open and which has logged some already."""
    begun = time.perf_counter()
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        # Nothing is lost when it fails but the benchmark's own copy.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}")
        _insert(connection, count)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    _sync(database)
    took = time.perf_counter() - begun
    say(f"{count:,} rows logged from outside in {took:.0f} s, {count / took:,.0f} rows/s")


def _insert(connection: sqlite3.Connection, count: int) -> None:
    columns, logged = _table(connection, REQUESTS)
    names, batches = _table(connection, BATCHES)
    first_batch = 1 + max(row[names.index("id")] for row in batches)
    requests = _requests(columns, logged, count, first_batch)
    commits = _batches(names, batches[-1], -(-count // ROWS_A_BATCH), first_batch)
    for done in range(0, count, ROWS_A_TRANSACTION):
        size = min(ROWS_A_TRANSACTION, count - done)
        connection.execute("BEGIN")
        connection.executemany(_statement(BATCHES, names), _taken(commits, -(-size // ROWS_A_BATCH)))
        connection.executemany(_statement(REQUESTS, columns), _taken(requests, size))
        connection.execute("COMMIT")


def _table(connection: sqlite3.Connection, name: str) -> tuple[list[str], list[Row]]:
    cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608  (a constant)
    return [column[0] for column in cursor.description], [list(row) for row in cursor.fetchall()]


def _statement(table: str, columns: Sequence[str]) -> str:
    names, marks = ", ".join(f'"{one}"' for one in columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  (names of the database's own)


def _taken(rows: Iterator[Row], count: int) -> Iterator[Row]:
    return (next(rows) for _ in range(count))


def _requests(columns: list[str], logged: list[Row], count: int, first_batch: int) -> Iterator[Row]:
    identity, created = columns.index("id"), columns.index("created_at")
    batch = columns.index("batch_id") if "batch_id" in columns else None
    position = columns.index("position") if "position" in columns else None
    reply = columns.index("full_response")
    # The texts around the id that a reply names itself by.
    parts = [str(row[reply]).split(str(UUID(row[identity]))) for row in logged]
    bits = random.Random(0).getrandbits  # noqa: S311  (ids, not secrets)
    start_ms = int(time.time() * 1e3) - count - 1_000
    for number in range(count):
        place = number % len(logged)
        row = list(logged[place])
        moment_ms = start_ms + number
        # A UUIDv7: the time, the version, 12 bits, the variant, 62 bits.
        digits = f"{moment_ms:012x}7{bits(12):03x}{0b10 << 62 | bits(62):016x}"
        dashed = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        row[identity], row[reply] = digits, dashed.join(parts[place])
        row[created] = _moment(moment_ms)
        if batch is not None:
            row[batch] = first_batch + number // ROWS_A_BATCH
        if position is not None:
            row[position] = number % ROWS_A_BATCH
        yield row


def _batches(columns: list[str], logged: Row, count: int, first_batch: int) -> Iterator[Row]:
    writer, now_ms = uuid4().hex, int(time.time() * 1e3)
    for number in range(count):
        known = {
            "id": first_batch + number,
            "writer": writer,
            "seq": number + 1,
            "rows": ROWS_A_BATCH,
            "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "created_at": _moment(now_ms),
        }
        yield [known.get(name, value) for name, value in zip(columns, logged, strict=True)]


def _moment(milliseconds: int) -> str:
    # As Django writes it.
    return datetime.fromtimestamp(milliseconds / 1e3, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
