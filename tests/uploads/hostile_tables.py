"""Tables that are small as files and huge, or endless, as rows."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet

REPEATS = 30_000_000


def csv_bombs() -> dict[str, bytes]:
    """Case to a CSV that costs far more than its bytes."""
    return {
        "ten million columns": b"x," * 10_000_000 + b"y\n" + b"1," * 10_000_000 + b"2\n",
        "one cell of 100 MB": b"y,x\n1," + b"9" * 100_000_000 + b"\n",
        "a quote that never ends": b'y,x\n1,"' + b"1,2\n" * 10_000_000,
        "ten million empty lines": b"x,y\n" + b"\n" * 10_000_000,
        "a number of 5,000 digits": b"y,x\n1," + b"9" * 5_000 + b"\n",
        "NUL bytes": b"y,x\n1,\0\n",
        "UTF-16": "y,x\n1,2\n".encode("utf-16"),
        "a header that is nothing": b"\n\n\n",
        "a column twice": b"x,x\n1,2\n",
        "more cells than columns": b"x,y\n" + b"1,2,3\n" * 10,
        "numbers that overflow": b"y,x\n1,1e400\n",
    }


def parquet_bombs() -> dict[str, bytes]:
    """Case to a small Parquet file that expands to gigabytes."""
    return {
        "thirty million equal numbers": _equal_numbers(),
        "a long text a million times": _equal_texts(),
        "twenty thousand columns": _wide(),
        "lists of a hundred thousand": _nested(),
        "half a file": _equal_numbers()[:200],
        "a dictionary for a column": _written(pa.table({"x": [{"a": 1}], "y": [1.0]})),
    }


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _repeated(value: pa.Array, times: int, pieces: int) -> bytes:
    # One row group again and again: the whole is never in the memory of whoever writes it.
    schema = pa.schema([("x", value.type), ("y", pa.float64())])
    sink = io.BytesIO()
    piece = pa.table({"x": pa.concat_arrays([value] * times), "y": pa.array([1.0] * times)}, schema=schema)
    with pa.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for _ in range(pieces):
            writer.write_table(piece, row_group_size=times)
    return sink.getvalue()


def _equal_numbers() -> bytes:
    return _repeated(pa.array([1.0]), 1_000_000, REPEATS // 1_000_000)


def _equal_texts() -> bytes:
    return _repeated(pa.array(["a" * 10_000]), 10_000, 100)


def _wide() -> bytes:
    return _written(pa.table({f"c{at}": [1.0] for at in range(20_000)}))


def _nested() -> bytes:
    return _repeated(pa.array([[1.0] * 100_000]), 10, 20)
