"""Rejected: the rows of a batch job that got no answer, in the order of the file, as far as chunks are done."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from ml_pipeline.apps.batches import files, results
from ml_pipeline.apps.batches.models import BatchChunk, BatchJob, State

HEADER = ("row", "line", "field", "reason")


class Rejected(NamedTuple):
    """A row without an answer: its number (from 0), its first line (from 1; 0 in Parquet), and what is wrong."""

    row: int
    line: int
    field: str
    reason: str


def page(job: BatchJob, after: int | None, limit: int) -> list[Rejected]:
    """At most `limit` of them, those after the row `after`. Raises NotFound where the files are removed."""
    found: list[Rejected] = []
    for one in _all(job, after):
        if len(found) == limit:
            break
        found.append(one)
    return found


def as_csv(job: BatchJob) -> Iterator[bytes]:
    """The lines of a CSV with all of them, which no spreadsheet takes for formulas. Raises NotFound."""
    # With it comes the reading of tables, and most processes are asked for none.
    from ml_pipeline.apps.ml.scoring import written

    found = _all(job, None)
    # What is not there is said before the first line is sent.
    first = list(itertools.islice(found, 1))
    begin = written.header(HEADER, ",")
    return itertools.chain([begin], (_line(one, written.cell) for one in itertools.chain(first, found)))


def _line(one: Rejected, cell: Callable[[str, str], str]) -> bytes:
    cells = (str(one.row), str(one.line), cell(one.field, ","), cell(one.reason, ","))
    return ",".join(cells).encode() + b"\n"


def _all(job: BatchJob, after: int | None) -> Iterator[Rejected]:
    # A job that is over without success leaves none.
    if job.removed_at is not None or job.state in (State.FAILED, State.CANCELLED):
        raise results.removed(job)
    done = BatchChunk.objects.filter(job=job, done_at__isnull=False, rejected__gt=0).order_by("number")
    # Read at once: what follows may go on in threads, and for as long as a client takes.
    chunks = list(done.values_list("number", "token", "first_row", "rows"))
    least = -1 if after is None else after
    for number, token, first_row, rows in chunks:
        if first_row + rows - 1 <= least:
            continue
        try:
            part = files.storage().open(files.errors_part_name(job.uid, number, token))
        except FileNotFoundError:
            raise results.removed(job) from None
        yield from _read(part, least)


def _read(part: IO[Any], least: int) -> Iterator[Rejected]:
    with part:
        for line in part:
            one = Rejected(*json.loads(line))
            if one.row > least:
                yield one
