"""Tables: the bytes of a chunk of CSV as columns of text; a row that is none is rejected, others keep their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ml_pipeline.apps.ml.scoring import cuts, dialects, records
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.rejections import Rejection


class Table(NamedTuple):
    """Columns of text, null where it is empty, of those rows of a chunk that `places` counts; and the others."""

    columns: dict[str, pa.Array]
    places: Places
    rejected: list[Rejection]


class Chunk:
    """A chunk of a CSV with what its rows' places are in it and in the file."""

    def __init__(self, content: bytes, dialect: Dialect, cut: Cut) -> None:
        self.content = content
        self.dialect = dialect
        self.cut = cut
        found = records.ends(content, dialect.delimiter, is_last=True)
        self._lines_begin = np.append(0, found)[:-1]
        self.are_rows = ~cuts.are_no_rows(content, found, dialect)
        self._ends = found

    @cached_property
    def spans(self) -> tuple[Places, Places]:
        """Where each row begins and ends in the content."""
        return self._lines_begin[self.are_rows], self._ends[self.are_rows]

    @cached_property
    def _breaks(self) -> Places:
        return records.breaks(self.content, is_last=True)

    def line(self, place: int) -> int:
        """The line of the file in which the chunk's row `place` begins."""
        return self.cut.first_line + int(np.searchsorted(self._breaks, self.spans[0][place]))

    def rejection(self, place: int, field: str, reason: str) -> Rejection:
        """What is said of the chunk's row `place`."""
        return Rejection(self.cut.first_row + place, self.line(place), field, reason)

    def read(self, names: Sequence[str]) -> Table:
        """The columns `names` of all rows that have as many cells as the header, of text that is UTF-8 without NUL."""
        content, places, rejected = self._legible()
        refused: list[Any] = []
        table = _parsed(content, self.dialect, names, refused)
        # Arrow counts the rows that it was given, from 1.
        ragged = np.array([one.number - 1 for one in refused], dtype=np.int64)
        for one, place in zip(refused, places[ragged].tolist(), strict=True):
            reason = f"expected {one.expected_columns} cells, got {one.actual_columns}"
            rejected.append(self.rejection(place, "", reason))
        return Table(table, np.delete(places, ragged), rejected)

    def _legible(self) -> tuple[bytes, Places, list[Rejection]]:
        """The content without rows that are no text, the places of the rest, and the rejections of those."""
        places = np.arange(self.cut.rows, dtype=np.int64)
        if b"\0" not in self.content and _is_utf_8(self.content):
            return self.content, places, []
        bad = dict(self._illegible())
        rejected = [self.rejection(place, "", reason) for place, reason in bad.items()]
        begins, ends = self.spans
        kept = np.delete(places, list(bad))
        parts = [self.content[int(begins[place]) : int(ends[place])] for place in kept]
        # A CR would be one line end with the LF of an empty row that comes to stand behind it.
        return b"".join(part + b"\n" if part.endswith(b"\r") else part for part in parts), kept, rejected

    def _illegible(self) -> Iterator[tuple[int, str]]:
        begins, ends = self.spans
        nuls = np.flatnonzero(np.frombuffer(self.content, dtype=np.uint8) == 0)
        for place in np.unique(np.searchsorted(ends, nuls, side="right")).tolist():
            yield place, "expected text, got a NUL in it"
        for place, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            try:
                self.content[begin:end].decode()
            except UnicodeDecodeError:
                yield place, "expected UTF-8, got other bytes"


def _is_utf_8(content: bytes) -> bool:
    try:
        return content.isascii() or bool(content.decode())
    except UnicodeDecodeError:
        return False


def _parsed(content: bytes, dialect: Dialect, names: Sequence[str], refused: list[Any]) -> dict[str, pa.Array]:
    def skip(row: Any) -> str:
        refused.append(row)
        return "skip"

    if not content:
        return {name: pa.array([], pa.string()) for name in names}
    # The reader drops one mark, which here is text of the first cell.
    if content.startswith(dialects.MARK):
        content = dialects.MARK + content
    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(
            # One block, so that no row of it is across two.
            use_threads=False,
            column_names=dialect.header,
            block_size=len(content) + 1,
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter,
            newlines_in_values=b'"' in content,
            ignore_empty_lines=len(dialect.header) > 1,
            invalid_row_handler=skip,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(names),
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,
        ),
    )
    return {name: _whole(table.column(name)) for name in names}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], pa.string())])
