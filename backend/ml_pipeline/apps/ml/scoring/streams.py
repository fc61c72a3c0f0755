"""Streams: chunks of Parquet, each carried as a stream of Arrow; and chunks written that way."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_pipeline.apps.ml.scoring import columns
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.rejections import Rejection
from ml_pipeline.apps.ml.scoring.tables import Table

# Days since 1970 which are of these years in any time zone.
_DAYS = tuple(one.toordinal() - datetime.date(1970, 1, 1).toordinal() for one in (datetime.date.min, datetime.date.max))
_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}
_NO_DATE = "expected a date of the years 1 to 9999, got one beyond"
_NUL = "expected text, got a NUL in it"


class Chunk:
    """A chunk of a Parquet file."""

    def __init__(self, content: bytes, cut: Cut) -> None:
        batch = pa.ipc.open_stream(content).read_next_batch()
        self.columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self.cut = cut

    def line(self, place: int) -> int:
        """No row is in a line."""
        return 0

    def rejection(self, place: int, field: str, reason: str) -> Rejection:
        """What is said of the chunk's row `place`."""
        return Rejection(self.cut.first_row + place, 0, field, reason)

    def read(self, names: Sequence[str]) -> Table:
        """The columns `names` of all rows that CSV can show whole, of their types, decimals as float64."""
        found = {name: _counted(self.columns[name]) for name in names}
        bad = dict(self._unfit())
        rejected = [self.rejection(place, *bad[place]) for place in sorted(bad)]
        places = np.delete(np.arange(self.cut.rows, dtype=np.int64), list(bad))
        if rejected:
            found = {name: column.take(pa.array(places)) for name, column in found.items()}
        return Table(found, places, rejected)

    def _unfit(self) -> Iterator[tuple[int, tuple[str, str]]]:
        """The places of rows with a cell that is neither CSV nor a value of Python's, with field and reason."""
        # Of all columns, those that are carried through too.
        for name, column in self.columns.items():
            if pa.types.is_string(column.type):
                broken = pc.match_substring(column, "\0").fill_null(False).to_numpy(zero_copy_only=False)
                yield from ((at, ("", _NUL)) for at in np.flatnonzero(broken).tolist())
            elif pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
                yield from ((at, (name, _NO_DATE)) for at in np.flatnonzero(_beyond(column)).tolist())

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


def _counted(column: pa.Array) -> pa.Array:
    # By its digits: a cast from one to the other is not exact.
    return column.cast(pa.string()).cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _beyond(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Which dates or times are of no year that there is, with a day to spare for time zones."""
    kind = column.type
    if not pa.types.is_date32(kind) and getattr(kind, "unit", "ms") not in _A_DAY:
        # 64 bits of nanoseconds are but some centuries.
        return np.zeros(len(column), dtype=np.bool_)
    a_day = 1 if pa.types.is_date32(kind) else _A_DAY[getattr(kind, "unit", "ms")]
    numbers = column.view(pa.int32() if pa.types.is_date32(kind) else pa.int64()).fill_null(0).to_numpy()
    found: npt.NDArray[np.bool_] = (numbers < (_DAYS[0] + 1) * a_day) | (numbers >= _DAYS[1] * a_day)
    return found
