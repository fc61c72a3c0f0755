"""Chains: the log read batch by batch as it lies in the database, in pages, with memory for a few of them.

Rows have no index by batch, which every insert would pay for. Ids follow the time, and so do
batches: read in the order of ids, rows of few batches lie between each other.

Nothing here goes through Django's conversions. What was written past the product must be told, not fail to be read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from django.db import connection
from django.db.models import Model

from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions import journal, writers
from ml_pipeline.apps.predictions.integrity.marks import Marks
from ml_pipeline.apps.predictions.journal import GENESIS
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.writers import Entry

# An entry's fields, then the id of its batch and its position.
Row: TypeAlias = tuple[Any, ...]
BATCH_ID, POSITION = len(Entry._fields), len(Entry._fields) + 1
# The hashes of batches that are gone by a deed, by writer and number: chains go on from these.
Begins: TypeAlias = dict[tuple[str, int], str]
_CREATED_AT = Entry._fields.index("created_at")
PAGE_ROWS, PAGE_BATCHES = 1_000, 5_000
# Rows of batches that are not complete yet; of those beyond, the oldest are read anew at the end.
MOST_OPEN_ROWS = 50_000
# Batches, and rows of theirs, that are looked for by one reading of the whole table.
MOST_SOUGHT, MOST_SOUGHT_ROWS = 200, 20_000


class Stored(NamedTuple):
    """A batch as it is stored; `previous` is the hash that its own goes on from, None where that batch is missing."""

    pk: int
    writer: str
    seq: int
    rows: int
    sha256: str
    created_at: str
    previous: str | None


class Whole(NamedTuple):
    """A batch and the rows that refer to it, in order of their positions."""

    batch: Stored
    rows: list[Row]

    @property
    def sha256(self) -> str:
        """The hash that follows from the rows; empty where they are nothing that was ever logged."""
        try:
            return journal.chained(self.batch.previous or "", [Entry._make(row[:BATCH_ID]) for row in self.rows])
        except (TypeError, ValueError):
            return ""


def batches(begins: Begins) -> Iterator[Stored]:
    """All batches, writer by writer, in the order of their numbers."""
    columns = _listed(JournalBatch, "id", "writer", "seq", "rows", "sha256", "created_at")
    select = f"SELECT {columns} FROM {_table(JournalBatch)}"  # noqa: S608
    order = f"ORDER BY writer, seq LIMIT {PAGE_BATCHES}"
    last: Row = (None, None, None)
    page = _fetched(f"{select} {order}")
    while page:
        for row in page:
            follows = row[1] == last[1] and row[2] == last[2] + 1
            yield _stored(row, last[4] if follows else None, begins)
            last = row
        page = _fetched(f"{select} WHERE writer = %s AND seq > %s {order}", last[1], last[2])
        page = page or _fetched(f"{select} WHERE writer > %s {order}", last[1])


def found(pks: Sequence[int], begins: Begins) -> dict[int, Stored]:
    """Those of the batches with these ids that are there."""
    if not pks:
        return {}
    columns = _listed(JournalBatch, "id", "writer", "seq", "rows", "sha256", "created_at", of="one")
    rows = _fetched(
        f"SELECT {columns}, previous.sha256 FROM {_table(JournalBatch)} one "  # noqa: S608
        f"LEFT JOIN {_table(JournalBatch)} previous ON previous.writer = one.writer AND previous.seq = one.seq - 1 "
        f"WHERE one.id IN ({_places(pks)})",
        *pks,
    )
    return {row[0]: _stored(row, row[6], begins) for row in rows}


def assembled(
    awaited: Marks,
    strange: Callable[[dict[int, list[Row]]], None],
    begins: Begins,
    within: tuple[str, str] | None = None,
) -> Iterator[Whole]:
    """Each of the batches `awaited`, with its rows, as soon as it has as many as it should; it is awaited no longer.

    Rows of other batches are given to `strange`, by batch. What is awaited at the end is to be looked for by `whole`:
    it lacks rows, or they lie far apart, or not between the ids `within`.
    """
    opened: dict[int, Whole] = {}
    held = 0
    for page in _pages(within):
        by_batch: dict[int, list[Row]] = {}
        for row in page:
            by_batch.setdefault(row[BATCH_ID], []).append(row)
        fresh = [pk for pk in by_batch if pk not in opened and pk in awaited]
        opened.update((pk, Whole(batch, [])) for pk, batch in found(fresh, begins).items())
        others = {pk: rows for pk, rows in by_batch.items() if pk not in opened}
        if others:
            strange(others)
        for pk in by_batch.keys() - others.keys():
            one = opened[pk]
            one.rows.extend(by_batch[pk])
            held += len(by_batch[pk])
            if len(one.rows) >= one.batch.rows:
                held -= len(opened.pop(pk).rows)
                awaited.discard(pk)
                yield _ordered(one)
        while held > MOST_OPEN_ROWS:
            held -= len(opened.pop(next(iter(opened))).rows)


def whole(pks: Iterable[int], begins: Begins) -> Iterator[Whole]:
    """The batches with these ids, with all of their rows; the whole log is read for it, once for some of them."""
    remaining = iter(pks)
    while group := list(islice(remaining, MOST_SOUGHT)):
        sought: dict[int, Whole] = {}
        rows = 0
        for pk, batch in found(group, begins).items():
            if sought and rows + batch.rows > MOST_SOUGHT_ROWS:
                yield from _sought(sought)
                sought, rows = {}, 0
            sought[pk] = Whole(batch, [])
            rows += batch.rows
        yield from _sought(sought)


def _sought(wholes: dict[int, Whole]) -> Iterator[Whole]:
    if wholes:
        for row in _fetched(f"{_select()} WHERE batch_id IN ({_places(wholes)})", *wholes):
            wholes[row[BATCH_ID]].rows.append(_row(row))
    return map(_ordered, wholes.values())


def _pages(within: tuple[str, str] | None) -> Iterator[list[Row]]:
    order = f"ORDER BY id LIMIT {PAGE_ROWS}"
    until, last = ("AND id <= %s", within[1:]) if within else ("", ())
    page = (
        _fetched(f"{_select()} WHERE id >= %s {until} {order}", *within) if within else _fetched(f"{_select()} {order}")
    )
    while page:
        yield [_row(row) for row in page]
        page = _fetched(f"{_select()} WHERE id > %s {until} {order}", page[-1][0], *last)


@functools.cache
def _select() -> str:
    fields = [name.strip() for name in writers.ENTRY_COLUMNS.split(",")]
    columns = ", ".join(_readable(name) if name == "created_at" else name for name in fields)
    return f"SELECT {columns} FROM {_table(MLRequest)}"  # noqa: S608


def _row(row: Row) -> Row:
    entry = (_hex(row[0]), *row[1:_CREATED_AT], _stamp(row[_CREATED_AT]), *row[_CREATED_AT + 1 : BATCH_ID])
    return (*entry, _number(row[BATCH_ID]), _number(row[POSITION]))


def _stored(row: Row, before: str | None, begins: Begins) -> Stored:
    writer, seq = _hex(row[1]), _number(row[2])
    previous = GENESIS if seq == 1 else begins.get((writer, seq - 1), before)
    return Stored(row[0], writer, seq, _number(row[3]), row[4], _stamp(row[5]), previous)


def _ordered(one: Whole) -> Whole:
    one.rows.sort(key=lambda row: row[POSITION])
    return one


def _fetched(statement: str, *values: Any) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[Row] = cursor.fetchall()
        return rows


def _listed(model: type[Model], *names: str, of: str = "") -> str:
    # Quoted: `rows` is a word of MySQL's own.
    prefix = f"{of}." if of else ""
    quoted = [f"{prefix}{connection.ops.quote_name(name)}" for name in names]
    return ", ".join(
        _readable(name) if name.endswith(connection.ops.quote_name("created_at")) else name for name in quoted
    )


def _readable(column: str) -> str:
    # SQLite's driver would make a time of it, or fail to; of an expression it knows no type.
    return f"{column} || ''" if connection.vendor == "sqlite" else column


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(writers.table(model))


def _places(values: Iterable[Any]) -> str:
    return ", ".join("%s" for _ in values)


def _hex(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    return value.replace("-", "") if isinstance(value, str) else value


def _number(value: Any) -> int:
    # SQLite keeps anything in any column.
    return value if isinstance(value, int) else -1


def _stamp(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return journal.stamp(value if value.tzinfo else value.replace(tzinfo=UTC))
