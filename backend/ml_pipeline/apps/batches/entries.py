"""Entries: what the log has of a chunk's rows, made from what its child said, some at a time: see `scoring.logged`."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import Any

import pyarrow as pa

from ml_pipeline.apps.batches.models import BatchJob
from ml_pipeline.apps.predictions import journal
from ml_pipeline.apps.predictions.writers import Entry

# `Entry._make` without its Python, a tenth of what the log costs.
_ENTRY: Any = partial(tuple.__new__, Entry)


class Entries:
    """The entries of one chunk. `latency_us` is that of each of its rows."""

    def __init__(self, job: BatchJob, content: bytes, latency_us: int) -> None:
        self._job, self._latency_us = job, latency_us
        # One batch; the rest of the process makes no Arrow of it but small parts.
        self._rows = pa.ipc.open_stream(content).read_next_batch()

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def part(self, begin: int, rows: int) -> list[Entry]:
        """At most so many, from `begin` on."""
        job = self._job
        ids, inputs, replies, responses, told = map(_values, self._rows.slice(begin, rows).columns)
        fields = zip(
            ids,
            repeat(job.parent_mlalgorithm_id),
            repeat("ok"),
            repeat(job.revision),
            inputs,
            replies,
            responses,
            told,
            repeat(self._latency_us),
            repeat(None),
            repeat(job.key_id),
            repeat(journal.now()),
            repeat(None),
            repeat(None),
            repeat(job.pk),
        )
        return list(map(_ENTRY, fields))


def _values(column: pa.Array) -> list[Any]:
    # Four times as quick as `to_pylist`, which makes a scalar of each; but what is missing would be NaN.
    if column.null_count:
        return list(column.to_pylist())
    return list(column.to_numpy(zero_copy_only=False).tolist())
