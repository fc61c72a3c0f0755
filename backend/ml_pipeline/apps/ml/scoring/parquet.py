"""Parquet: a file's rows in chunks, each carried as a stream of Arrow; and chunks written that way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ml_pipeline.apps.ml.scoring import columns, cuts, dialects, ids
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.rejections import Rejection
from ml_pipeline.apps.ml.scoring.tables import Table
from ml_pipeline.errors import MalformedInput

# Of rows that are together in the file, uncompressed.
MAX_GROUP_BYTES = 1_000_000_000
_KINDS = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_decimal,
    pa.types.is_null,
)


def header(path: Path) -> tuple[str, ...]:
    """The file's columns. Raises MalformedInput for what is no Parquet of plain columns in groups of bearable size."""
    with _opened(path) as file:
        fields = [(field.name, _value_type(field.type)) for field in file.schema_arrow]
        dialects.check_header([name for name, _ in fields])
        for name, kind in fields:
            if not any(fits(kind) for fits in _KINDS):
                raise MalformedInput(f"The column {name[:60]!r} is of {kind}, which has no cells that CSV could show.")
            _check_zone(name, kind)
        if file.metadata.num_rows > ids.MAX_ROWS:
            raise MalformedInput(f"The file has more than {ids.MAX_ROWS:,} rows.")
        groups = [file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups)]
        if max(groups, default=0) > MAX_GROUP_BYTES:
            raise MalformedInput(f"The file has a row group of {max(groups):,} bytes; {MAX_GROUP_BYTES:,} is the most.")
    return tuple(name for name, _ in fields)


def contents(path: Path, *, rows: int = cuts.ROWS, after: int = -1) -> Iterator[tuple[Cut, bytes]]:
    """The chunks of the file whose numbers are above `after`, with their bytes. A chunk is of one row group."""
    number, first_row = 0, 0
    with _opened(path) as file:
        for group in range(file.metadata.num_row_groups):
            left = file.metadata.row_group(group).num_rows
            count = -(-left // rows)
            if number + count - 1 > after:
                yield from _of_group(file, group, number, first_row, rows=rows, after=after)
            number, first_row = number + count, first_row + left


def _of_group(
    file: Any, group: int, number: int, first_row: int, *, rows: int, after: int
) -> Iterator[tuple[Cut, bytes]]:
    try:
        # One chunk after the other; the group itself is not kept.
        for batch in file.iter_batches(rows, row_groups=[group], use_threads=False):
            if number > after:
                # Text that is not UTF-8 is found here, rather than in some column of some process.
                batch.validate(full=True)
                yield Cut(number, first_row, len(batch), first_row, 0, len(batch)), columns.streamed(batch)
            number, first_row = number + 1, first_row + len(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MalformedInput(f"The file's row group {group} cannot be read: {str(error)[:200]}") from None


class Chunk:
    """A chunk of a Parquet file."""

    def __init__(self, content: bytes, cut: Cut) -> None:
        batch = pa.ipc.open_stream(content).read_next_batch()
        self.columns = {name: _plain(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        self.cut = cut

    def line(self, place: int) -> int:
        """No row is in a line."""
        return 0

    def rejection(self, place: int, field: str, reason: str) -> Rejection:
        """What is said of the chunk's row `place`."""
        return Rejection(self.cut.first_row + place, 0, field, reason)

    def read(self, names: Sequence[str]) -> Table:
        """The columns `names` of all rows without a NUL in any text, of their types, decimals as float64."""
        found = {name: _counted(self.columns[name]) for name in names}
        broken = np.zeros(self.cut.rows, dtype=np.bool_)
        # Of all columns: those that are carried through would be no CSV.
        for column in self.columns.values():
            if pa.types.is_string(column.type):
                broken |= pc.match_substring(column, "\0").fill_null(False).to_numpy(zero_copy_only=False)
        places = np.flatnonzero(~broken)
        rejected = [self.rejection(at, "", "expected text, got a NUL in it") for at in np.flatnonzero(broken).tolist()]
        if rejected:
            found = {name: column.take(pa.array(places)) for name, column in found.items()}
        return Table(found, places, rejected)

    def texts(self, places: Places) -> list[pa.Array]:
        """All columns of the rows at `places`, as CSV spells them."""
        at = pa.array(places)
        return [column.take(at).cast(pa.string()) for column in self.columns.values()]


def written(chunk: Any, places: Places, answers: Mapping[str, pa.Array]) -> bytes:
    """The rows at `places` of a chunk of either kind, with their answers, as a stream of Arrow."""
    if isinstance(chunk, Chunk):
        at, its = pa.array(places), chunk.columns
    else:
        read = chunk.read(chunk.dialect.header)
        at, its = pa.array(np.searchsorted(read.places, places)), read.columns
    kept = {name: column.take(at) for name, column in its.items()}
    return columns.streamed(pa.RecordBatch.from_pydict({**kept, **answers}))


def _opened(path: Path) -> Any:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MalformedInput(f"The file is not Parquet: {str(error)[:200]}") from None


def _check_zone(name: str, kind: pa.DataType) -> None:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        try:
            pa.array([0], kind).cast(pa.string())
        except pa.ArrowInvalid:
            raise MalformedInput(
                f"The column {name[:60]!r} has the time zone {kind.tz[:60]!r}, which is unknown."
            ) from None


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(column: pa.Array) -> pa.Array:
    """The column without a dictionary, and texts of the one kind."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def _counted(column: pa.Array) -> pa.Array:
    # By its digits: a cast from one to the other is not exact.
    return column.cast(pa.string()).cast(pa.float64()) if pa.types.is_decimal(column.type) else column
