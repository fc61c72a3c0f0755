"""Who goes on with a job scores the chunks that were planned; Parquet that is cut otherwise by now is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from ml_pipeline.apps.batches.sources import Source
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.errors import MalformedInput


@pytest.fixture
def source(tmp_path: Path) -> Source:
    pyarrow.parquet.write_table(pa.table({"x": range(60_000)}), tmp_path / "numbers")
    return Source(tmp_path / "numbers", True, Dialect(("x",), ",", 0, 1))


def test_what_was_planned_comes_from_where_it_was_left(source: Source) -> None:
    planned = list(source.cuts())
    assert [cut for cut, _ in source.contents(planned[1:])] == planned[1:]
    assert list(source.contents([])) == []


def test_other_chunks_than_planned_are_refused(source: Source) -> None:
    first, *others = source.cuts()
    larger = first._replace(length=first.length + 1, rows=first.rows + 1)
    one_more = Cut(len(others) + 1, 60_000, 1, 60_000, 0, 1)
    for planned in ([larger, *others], [first, *others[:-1]], [first, *others, one_more]):
        with pytest.raises(MalformedInput, match="not cut into chunks as it was"):
            list(source.contents(planned))
