"""Frames: what the serving process and a child send each other. Numbers as their bytes, all else as JSON.

Never a pickle: the serving process must not run what a child made up. A frame is a prefix (a mark, the sizes of header
and body), a header of JSON and a body of buffers, each padded to 8 bytes.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns

_PREFIX = struct.Struct("!4sIQ")
_MARK = b"MLP1"
_ALIGNMENT = 8
# Beyond this, what a child sends is no answer.
MAX_HEADER_BYTES = 65_536
MAX_OUTPUTS_A_ROW = 10_000
MAX_OUTPUT_BYTES = 256_000_000
MAX_TEXT = 300
_OUTPUT_TYPES = ("<f8", "<f4")


class BrokenFrame(Exception):
    """What came is no frame, or not the one that was expected."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: `header` is a JSON object, `body` the bytes that it describes."""

    header: dict[str, Any]
    body: bytearray


def encoded(header: Mapping[str, Any], *buffers: bytes) -> bytes:
    """The bytes of a frame."""
    head = json.dumps(header).encode()
    padded = [buffer + bytes(-len(buffer) % _ALIGNMENT) for buffer in buffers]
    return b"".join((_PREFIX.pack(_MARK, len(head), sum(map(len, padded))), head, *padded))


def of_columns(call: int, columns: Columns) -> bytes:
    """The frame that asks for a prediction: arrays of numbers of any shape, and arrays of strings of shape (n,)."""
    described, buffers = [], []
    for name, column in columns.items():
        if column.dtype.kind in "fiub":
            buffer = np.ascontiguousarray(column).tobytes()
            about = {"name": name, "dtype": column.dtype.str, "shape": column.shape, "bytes": len(buffer)}
        else:
            buffer = json.dumps(column.tolist()).encode()
            about = {"name": name, "dtype": "text", "bytes": len(buffer)}
        described.append(about)
        buffers.append(buffer)
    return encoded({"call": call, "columns": described}, *buffers)


def columns_of(frame: Frame) -> Columns:
    """The columns in a frame of `of_columns`, in their order."""
    columns: Columns = {}
    begin = 0
    for about in frame.header["columns"]:
        part = memoryview(frame.body)[begin : begin + about["bytes"]]
        begin += about["bytes"] + -about["bytes"] % _ALIGNMENT
        if about["dtype"] == "text":
            columns[about["name"]] = np.array(json.loads(bytes(part)), dtype=object)
        else:
            columns[about["name"]] = np.frombuffer(part, dtype=about["dtype"]).reshape(about["shape"])
    return columns


def of_output(call: int, output: Any, rows: int) -> bytes:
    """The frame that answers for `rows` rows. Raises TypeError for what are no numbers, ValueError for too many."""
    array = np.asarray(output)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"the prediction is an array of {array.dtype}, not of numbers")
    if array.dtype.str not in _OUTPUT_TYPES:
        array = array.astype("<f8")
    if array.nbytes > most_bytes(rows):
        raise ValueError(f"the prediction has shape {array.shape}, which is too large")
    described = {"dtype": array.dtype.str, "shape": array.shape}
    return encoded({"call": call, "output": described}, np.ascontiguousarray(array).tobytes())


def output_of(frame: Frame) -> Output:
    """The array in a child's answer; its shape is for the algorithm to judge. Raises BrokenFrame when there is none."""
    about = frame.header.get("output")
    if not isinstance(about, dict) or about.get("dtype") not in _OUTPUT_TYPES:
        raise BrokenFrame("the answer has no output")
    shape = about.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BrokenFrame("the output has no shape")
    dtype = np.dtype(str(about["dtype"]))
    size_bytes = math.prod(shape) * dtype.itemsize
    if size_bytes + -size_bytes % _ALIGNMENT != len(frame.body):
        raise BrokenFrame("the output is not as long as its shape says")
    try:
        return np.frombuffer(memoryview(frame.body)[:size_bytes], dtype=dtype).reshape(shape)
    except (ValueError, OverflowError):
        raise BrokenFrame("the output has an impossible shape") from None


def of_error(call: int, error: BaseException) -> bytes:
    """The frame that tells of an exception: its type's name and at most 300 characters of its message."""
    try:
        said = str(error)
    # A foreign exception may fail even at this.
    except Exception:  # noqa: BLE001
        said = ""
    return encoded({"call": call, "error": {"type": type(error).__name__[:MAX_TEXT], "message": said[:MAX_TEXT]}})


def error_of(frame: Frame) -> tuple[str, str] | None:
    """Type and message of the exception that a child tells of, fit for a line of a log; None when it tells of none."""
    error = frame.header.get("error")
    if not isinstance(error, dict):
        return None
    return _line(error.get("type")), _line(error.get("message"))


def _line(text: object) -> str:
    # The child chose the text, and a log must not be forged by it.
    shown = str(text)[:MAX_TEXT] if isinstance(text, str) else "?"
    return "".join(letter if letter.isprintable() else " " for letter in shown)


def most_bytes(rows: int) -> int:
    """How long the body of an answer for `rows` rows may be."""
    return min(rows * MAX_OUTPUTS_A_ROW * 8, MAX_OUTPUT_BYTES)


def send(peer: socket.socket, frame: bytes, until: float | None = None) -> None:
    """Returns when all is sent. Raises TimeoutError at `until` (monotonic seconds), OSError for a closed end."""
    peer.settimeout(_left_s(until))
    peer.sendall(frame)


def received(
    peer: socket.socket, until: float | None = None, *, header_bytes: int | None = None, body_bytes: int | None = None
) -> Frame:
    """The next frame, within those sizes where they are given.

    Raises TimeoutError when it is not there by `until` (monotonic seconds), BrokenFrame for anything else than a frame,
    EOFError when the other end is closed, OSError when the connection broke.
    """
    mark, head, body = _PREFIX.unpack(_filled(peer, _PREFIX.size, until))
    if mark != _MARK:
        raise BrokenFrame("what came is no frame")
    if (header_bytes is not None and head > header_bytes) or (body_bytes is not None and body > body_bytes):
        raise BrokenFrame(f"the frame is too large: {head} and {body} bytes")
    try:
        header = json.loads(_filled(peer, head, until))
    # A text of brackets alone is deeper than the parser can go.
    except (ValueError, RecursionError):
        raise BrokenFrame("the frame's header is not JSON") from None
    if not isinstance(header, dict):
        raise BrokenFrame("the frame's header is no object")
    return Frame(header, _filled(peer, body, until))


def _filled(peer: socket.socket, size_bytes: int, until: float | None) -> bytearray:
    content = bytearray(size_bytes)
    view = memoryview(content)
    while view:
        peer.settimeout(_left_s(until))
        count = peer.recv_into(view)
        if count == 0:
            raise EOFError("the other end is closed")
        view = view[count:]
    return content


def _left_s(until: float | None) -> float | None:
    if until is None:
        return None
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time is over")
    return left_s
