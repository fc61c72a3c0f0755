"""Groups: the rows of a Parquet file as its decoder gives them. For a process of its own alone: see `reader`.

A few bytes of Parquet may expand to any number of values, and Arrow's decoder trusts what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ml_pipeline.apps.ml.scoring import columns, cuts, dialects, ids
from ml_pipeline.apps.ml.scoring.messages import Outline
from ml_pipeline.errors import MalformedInput

# Of what is about the rows, at the end of the file; it is read at once.
MAX_FOOTER_BYTES = 16_000_000
MAX_GROUPS = 10_000
# Of rows that are together in the file, uncompressed.
MAX_GROUP_BYTES = 1_000_000_000
# Of a chunk's rows, as columns.
MAX_CHUNK_BYTES = 32_000_000
# Of all columns so much is read ahead, of each within these.
_BUFFERS_BYTES, _LEAST_BYTES, _MOST_BYTES = 32_000_000, 4_096, 65_536
_MARK = b"PAR1"
_IS_NONE, _OF_GROUP = "The file is not Parquet", "The file's row group {} cannot be read"
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


def opened(path: Path) -> Any:
    """The file, whose footer is read. Raises MalformedInput."""
    _check_footer(path)
    with _refusing(_IS_NONE):
        about = pyarrow.parquet.read_metadata(path)
        each = min(max(_BUFFERS_BYTES // max(1, about.num_columns), _LEAST_BYTES), _MOST_BYTES)
        # Page by page, not a whole group at once.
        return pyarrow.parquet.ParquetFile(path, metadata=about, pre_buffer=False, buffer_size=each)


def outline(file: Any, rows: int) -> Outline:
    """The file's columns, and of each row group its rows and how many of them are a chunk: at most `rows`.

    Raises MalformedInput unless it has plain columns, in groups of bearable number and size.
    """
    with _refusing(_IS_NONE):
        fields = [(field.name, _value_type(field.type)) for field in file.schema_arrow]
    dialects.check_header([name for name, _ in fields])
    for name, kind in fields:
        if not any(fits(kind) for fits in _KINDS):
            raise MalformedInput(f"The column {name[:60]!r} is of {kind}, which has no cells that CSV could show.")
        _check_zone(name, kind)
    about = file.metadata
    if about.num_row_groups > MAX_GROUPS:
        raise MalformedInput(f"The file has {about.num_row_groups:,} row groups; {MAX_GROUPS:,} is the most.")
    groups = [about.row_group(at) for at in range(about.num_row_groups)]
    _check_sizes(about, groups)
    width = sum(map(_width, (kind for _, kind in fields)))
    parts = [(one.num_rows, _chunk_rows(one, width, rows)) for one in groups]
    return Outline(tuple(name for name, _ in fields), tuple(parts))


def contents(file: Any, about: Outline, after: int) -> Iterator[bytes | None]:
    """Each chunk as a stream of Arrow, in order; None for those with numbers up to `after`. Raises MalformedInput."""
    number = 0
    for group, (left, rows) in enumerate(about.groups):
        count = -(-left // rows)
        if number + count - 1 <= after:
            yield from (None for _ in range(count))
        else:
            for at, batch in enumerate(_batches(file, group, left, rows)):
                yield _streamed(batch, group) if number + at > after else None
        number += count


def _batches(file: Any, group: int, left: int, rows: int) -> Iterator[pa.RecordBatch]:
    """The group's rows, `rows` in each batch but the last."""
    held: list[pa.RecordBatch] = []
    have = 0
    with _refusing(_OF_GROUP.format(group)):
        # It may give fewer at once than it is asked for.
        for given in file.iter_batches(rows, row_groups=[group], use_threads=False):
            batch = given
            while left and len(batch):
                held.append(batch.slice(0, min(rows, left) - have))
                batch, have = batch.slice(len(held[-1])), have + len(held[-1])
                if have == min(rows, left):
                    yield pa.concat_batches(held) if len(held) > 1 else held[0]
                    left, held, have = left - have, [], 0
    if left:
        raise MalformedInput(f"The file's row group {group} has fewer rows than it says.")


def _streamed(batch: pa.RecordBatch, group: int) -> bytes:
    if sum(map(_expanded_bytes, batch.columns)) > MAX_CHUNK_BYTES:
        raise MalformedInput(
            f"The file's row group {group} has {len(batch):,} rows of more than {MAX_CHUNK_BYTES:,} bytes together: "
            "write it in smaller row groups."
        )
    with _refusing(_OF_GROUP.format(group)):
        # Text that is not UTF-8 is found here, rather than in some column of some process.
        batch.validate(full=True)
        plain = pa.RecordBatch.from_arrays([_plain(one) for one in batch.columns], names=batch.schema.names)
    return columns.streamed(plain)


def _expanded_bytes(column: pa.Array) -> int:
    """What the column takes without its dictionary."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    words = column.dictionary
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return len(column) * _width(words.type)
    lengths = pc.binary_length(words).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + len(column) * _width(words.type)


def _plain(column: pa.Array) -> pa.Array:
    """The column without a dictionary, and texts of the one kind."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def _check_footer(path: Path) -> None:
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 8))
        tail = handle.read(8)
    if tail[4:] != _MARK:
        raise MalformedInput("The file is not Parquet: it does not end as Parquet does; perhaps it is cut off.")
    length = int.from_bytes(tail[:4], "little")
    if length + len(tail) > size:
        raise MalformedInput("The file is not Parquet: what it says of itself would be longer than the file.")
    if length > MAX_FOOTER_BYTES:
        raise MalformedInput(f"What the file says of itself has {length:,} bytes; {MAX_FOOTER_BYTES:,} is the most.")


def _check_sizes(about: Any, groups: Iterable[Any]) -> None:
    rows = [one.num_rows for one in groups]
    if min(rows, default=0) < 0 or sum(rows) != about.num_rows:
        raise MalformedInput("The file is not Parquet: its row groups have other rows than it says.")
    if about.num_rows > ids.MAX_ROWS:
        raise MalformedInput(f"The file has more than {ids.MAX_ROWS:,} rows.")
    largest = max((one.total_byte_size for one in groups), default=0)
    if largest > MAX_GROUP_BYTES:
        raise MalformedInput(f"The file has a row group of {largest:,} bytes; {MAX_GROUP_BYTES:,} is the most.")


def _chunk_rows(group: Any, width: int, rows: int) -> int:
    """How many rows of the group make a chunk that is as large as one of CSV may be."""
    size = max(width, group.total_byte_size // max(1, group.num_rows))
    return max(1, min(rows, cuts.BYTES // int(size)))


def _width(kind: pa.DataType) -> int:
    # Of a text, where it begins.
    return max(1, int(kind.bit_width) // 8) if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) else 8


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


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    # One of Arrow's exceptions as well; what it is of the file, the process's limits say.
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        # The same, as the parser of the footer has it.
        if "bad_alloc" in str(error):
            raise MemoryError from None
        raise MalformedInput(f"{what}: {str(error).strip()[:200]}") from None
