"""Cuts: a CSV in chunks of whole rows, by byte offsets; of any file no more than a chunk is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.scoring import ids, records
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.errors import MalformedInput

ROWS = 25_000
# A chunk, its answers and what is logged of it, in each process that works.
BYTES = 4_000_000


class Cut(NamedTuple):
    """A chunk: its number, where its bytes are, and the numbers of its first row (from 0) and first line (from 1).

    Empty lines are no rows. Of Parquet, `offset` and `length` count rows.
    """

    number: int
    offset: int
    length: int
    first_row: int
    first_line: int
    rows: int


def of_csv(path: Path, dialect: Dialect, *, rows: int = ROWS, most_bytes: int = BYTES) -> Iterator[Cut]:
    """The chunks of the plain CSV at `path`, each of at most `rows` rows, and bytes unless its only row has more.

    Raises MalformedInput for a row that is too long or a quote that is never closed, when it comes to it.
    """
    offset, first_row, line = dialect.begin, 0, dialect.line
    number, buffer, is_last = 0, b"", False
    wanted = max(most_bytes, records.MAX_BYTES + 2)
    with path.open("rb") as handle:
        handle.seek(offset)
        while not is_last:
            buffer += handle.read(wanted - len(buffer))
            is_last = len(buffer) < wanted
            begin = 0
            for end, count in _parts(buffer, dialect, is_last, line, rows=rows, most_bytes=most_bytes):
                # Empty lines at the end are not worth a chunk.
                if first_row + count > ids.MAX_ROWS:
                    raise MalformedInput(f"The file has more than {ids.MAX_ROWS:,} rows.")
                if count:
                    yield Cut(number, offset, end - begin, first_row, line, count)
                    number, first_row = number + 1, first_row + count
                line += records.lines(buffer[begin:end])
                offset, begin = offset + end - begin, end
            buffer = buffer[begin:]


def content(path: Path, cut: Cut) -> bytes:
    """The bytes of a chunk of the CSV at `path`."""
    with path.open("rb") as handle:
        handle.seek(cut.offset)
        return handle.read(cut.length)


def _parts(
    buffer: bytes, dialect: Dialect, is_last: bool, line: int, *, rows: int, most_bytes: int
) -> Iterator[tuple[int, int]]:
    """Where each chunk in `buffer` ends, and its rows; what may become a larger chunk with more bytes is left."""
    found = _ends(buffer, dialect, is_last, line)
    counts = np.cumsum(~are_no_rows(buffer, found, dialect))
    at, begin, before = 0, 0, 0
    while at < len(found):
        by_rows = int(np.searchsorted(counts, before + rows, side="right"))
        by_bytes = max(int(np.searchsorted(found, begin + most_bytes, side="right")), at + 1)
        last = min(by_rows, by_bytes) - 1
        if last + 1 == len(found) and not is_last and at > 0:
            return
        yield int(found[last]), int(counts[last]) - before
        at, begin, before = last + 1, int(found[last]), int(counts[last])


def are_no_rows(block: bytes, found: Places, dialect: Dialect) -> npt.NDArray[np.bool_]:
    """Which of the rows that end at `found` are no rows: empty lines, unless the only column's cell is empty there."""
    if len(dialect.header) == 1:
        return np.zeros(len(found), dtype=np.bool_)
    return records.are_blank(block, found)


def _ends(buffer: bytes, dialect: Dialect, is_last: bool, line: int) -> Places:
    try:
        found = records.ends(buffer, dialect.delimiter, is_last=is_last)
    except MalformedInput as error:
        raise MalformedInput(f"In or after line {line}: {error.message}") from None
    too_long = np.flatnonzero(np.diff(found, prepend=0) > records.MAX_BYTES)
    if len(too_long) or (not len(found) and not is_last):
        begin = int(found[too_long[0] - 1]) if len(too_long) and too_long[0] else 0
        raise MalformedInput(f"Line {line + records.lines(buffer[:begin])}: {records.too_long().message}")
    return found
