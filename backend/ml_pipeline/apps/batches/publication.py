"""Publication: the parts of a job's output put together to its result, which appears whole and once."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.core.files.base import File
from pyarrow import parquet

from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.ml.scoring import written
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.jobs import answer_names
from ml_pipeline.apps.ml.signature import Signature

BLOCK_BYTES = 1_000_000
# Of a row group of Parquet; each is in memory while it is made.
GROUP_ROWS, GROUP_BYTES = 100_000, 32_000_000


def publish(job: BatchJob, dialect: Dialect, folder: Path) -> int:
    """The size of the result in bytes, now that it is stored. `folder` is for what has to be made for it."""
    answers = answer_names(Signature.from_json(job.parent_mlalgorithm.signature), probabilities=job.probabilities)
    if job.output_format == Format.PARQUET:
        path = folder / "result"
        _write_parquet(path, _parts(job), (*dialect.header, *answers))
        with path.open("rb") as handle:
            files.storage().save(files.result_name(job.uid), File(handle))
    else:
        header = written.header((*dialect.header, *answers), dialect.delimiter)
        stream: Any = io.BufferedReader(_Joined(_blocks(header, _parts(job))), BLOCK_BYTES)
        files.storage().save(files.result_name(job.uid), File(stream))
    return int(files.storage().size(files.result_name(job.uid)))


def _parts(job: BatchJob) -> Iterator[Any]:
    """The parts of the output in order, each an open file."""
    done = job.chunks.filter(answered__gt=0).order_by("number").values_list("number", "token")
    for number, token in done.iterator(1_000):
        with files.storage().open(files.output_part_name(job.uid, number, token), "rb") as part:
            yield part


def _blocks(header: bytes, parts: Iterable[Any]) -> Iterator[bytes]:
    yield header
    for part in parts:
        while block := part.read(BLOCK_BYTES):
            yield block


class _Joined(io.RawIOBase):
    """Blocks, read as one file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _write_parquet(path: Path, parts: Iterable[Any], names: Sequence[str]) -> None:
    writer: Any = None
    try:
        for group in _groups(parts):
            writer = writer or parquet.ParquetWriter(path, group.schema, compression="zstd")
            writer.write_table(group, row_group_size=len(group))
        # Nothing was answered, and so nothing is known of types.
        writer = writer or parquet.ParquetWriter(path, pa.schema([(name, pa.string()) for name in names]))
    finally:
        if writer is not None:
            writer.close()


def _groups(parts: Iterable[Any]) -> Iterator[pa.Table]:
    gathered: list[Any] = []
    for part in parts:
        gathered += pa.ipc.open_stream(part)
        if (
            sum(batch.num_rows for batch in gathered) >= GROUP_ROWS
            or sum(batch.nbytes for batch in gathered) >= GROUP_BYTES
        ):
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)
