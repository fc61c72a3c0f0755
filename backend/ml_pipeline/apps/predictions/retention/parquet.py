"""Parquet: the tables of an archive, written and read group by group, so that memory does not grow with the log.

A request's row says by itself in which batch it was, and from which hash that one's goes on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from ml_pipeline.apps.predictions import journal
from ml_pipeline.apps.predictions.writers import Entry

GROUP_ROWS, GROUP_CHARACTERS = 20_000, 32_000_000
PAGE_ROWS = 2_000
_TIME, _TEXT, _NUMBER = pa.timestamp("us", tz="UTC"), pa.string(), pa.int64()
_ENTRY = {
    "id": _TEXT,
    "algorithm_id": _NUMBER,
    "outcome": _TEXT,
    "revision": _NUMBER,
    "input_data": _TEXT,
    "full_response": _TEXT,
    "response": _TEXT,
    "probability": pa.float64(),
    "latency_us": _NUMBER,
    "unit": _TEXT,
    "key_id": _NUMBER,
    "created_at": _TIME,
    "test_id": _NUMBER,
    "arm": _NUMBER,
    "job_id": _NUMBER,
}
_PLACE = [("writer", _TEXT), ("seq", _NUMBER)]
REQUESTS = pa.schema(
    [*_PLACE, ("previous", _TEXT), ("sha256", _TEXT), *((field, _ENTRY[field]) for field in Entry._fields)]
)
BATCHES = pa.schema([*_PLACE, ("rows", _NUMBER), ("sha256", _TEXT), ("created_at", _TIME)])
FEEDBACK = pa.schema(
    [("id", _NUMBER), ("request_id", _TEXT), ("value", _TEXT), ("actor", _TEXT), ("created_at", _TIME)]
)


class Kept(NamedTuple):
    """A batch as an archive has it: its rows, in order, the hash before, and the hash that it was committed with."""

    writer: str
    seq: int
    previous: str
    sha256: str
    entries: list[Entry]

    @property
    def now(self) -> str:
        """The hash that follows from the rows."""
        return journal.chained(self.previous, self.entries)


class Table:
    """One file that rows are added to."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._writer = parquet.ParquetWriter(path, schema, compression="zstd")
        self._rows: list[Sequence[Any]] = []
        self._characters = 0
        self.count = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """`rows`, whose values are in the order of the schema, are in it."""
        for row in rows:
            self._rows.append(row)
            self._characters += sum(len(value) for value in row if isinstance(value, str))
            self.count += 1
            if len(self._rows) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
                self._flush()

    def close(self) -> tuple[str, int, str]:
        """Its name, the number of its rows and its sha256, now that it is durable."""
        self._flush()
        self._writer.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        return self._path.name, self.count, digest(self._path)

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(list(one), field.type) for one, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows, self._characters = [], 0


def rows(path: Path, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a file, or those columns of them, with times as `moment` makes them."""
    with parquet.ParquetFile(path) as file:
        for page in file.iter_batches(PAGE_ROWS, columns=list(columns) or None):
            yield from zip(*(column.to_pylist() for column in page.columns), strict=True)


def row(one: Kept) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch as REQUESTS has them."""
    for entry in one.entries:
        values = entry._replace(created_at=moment(entry.created_at))  # type: ignore[arg-type]
        yield (one.writer, one.seq, one.previous, one.sha256, *values)


def batches(path: Path) -> Iterator[Kept]:
    """The batches that the requests in a file are of, in the file's order."""
    places = len(REQUESTS) - len(Entry._fields)
    for (writer, seq, previous, sha256), group in groupby(rows(path), key=lambda row: row[:places]):
        entries = [Entry._make(row[places:]) for row in group]
        yield Kept(writer, seq, previous, sha256, [_stamped(one) for one in entries])


def moment(stamp: str) -> datetime:
    """The time that the log has as `stamp`."""
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC)


def digest(path: Path) -> str:
    """The hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamped(entry: Entry) -> Entry:
    time: Any = entry.created_at
    return entry._replace(created_at=journal.stamp(time))
