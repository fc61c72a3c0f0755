"""Columns: answers and ids as Arrow's columns of text, made at once for all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_encoded = msgspec.json.Encoder().encode


def fixed(characters: npt.NDArray[np.uint8]) -> pa.Array:
    """Texts of one length, given as a row of bytes each."""
    rows, width = characters.shape
    offsets = np.arange(0, (rows + 1) * width, max(width, 1), dtype=np.int32)[: rows + 1]
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters)))


def chosen(texts: Sequence[str], places: npt.NDArray[Any]) -> pa.Array:
    """For each of `places` that one of the texts."""
    return pa.array(texts, pa.string()).take(pa.array(places))


def in_json(numbers: npt.NDArray[Any], *, whole: bool = False) -> pa.Array:
    """Numbers as JSON spells them where replies are made, null for NaN."""
    missing = np.isnan(numbers)
    plain = np.where(missing, 0.0, numbers) if missing.any() else numbers
    # One call of the encoder, and its commas tell the numbers apart.
    listed = _encoded((plain.astype(np.int64) if whole else plain.astype(np.float64)).tolist())[1:-1]
    texts = pa.array(listed.split(b",") if listed else [], pa.binary()).cast(pa.string())
    return pc.if_else(pa.array(missing), "null", texts) if missing.any() else texts


def joined(parts: Sequence[str | pa.Array]) -> pa.Array:
    """The parts of each row behind each other; a text by itself is the same in all rows."""
    return pc.binary_join_element_wise(*merged(parts), "")


def merged(parts: Sequence[str | pa.Array]) -> list[str | pa.Array]:
    """The same parts, in which no two texts by themselves are neighbours."""
    found: list[str | pa.Array] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return found


def content(texts: pa.Array) -> pa.Buffer:
    """The bytes of all texts behind each other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return pa.py_buffer(b"")
    places = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return data.slice(int(places[0]), int(places[-1] - places[0]))


def streamed(batch: pa.RecordBatch, *, compression: str | None = None) -> bytes:
    """The rows as a stream of Arrow."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
