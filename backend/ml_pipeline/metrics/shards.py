"""Shards: one file a process, in which its numbers lie as the processor writes them, so that they outlive a kill.

A file is a run of segments of SEGMENT_BYTES, each mapped into memory. A segment begins with the number of its bytes in
use; records follow: two lengths, a key in JSON (a family's name and the values of its labels), and the numbers, each a
float64 at a multiple of eight. The first record's key is about the process and has no numbers. A record is there once
the segment's number of bytes includes it. The space is reserved before it is mapped: a full disk is an error then, not
a signal that ends the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

SEGMENT_BYTES = 65_536
# Longer keys than names can make are not kept.
MAX_KEY_BYTES = 8_000
_LENGTHS = struct.Struct("=II")
# Native, which is one store: "=" writes byte by byte, and whoever reads meanwhile would miss records.
_USED = struct.Struct("@Q")

Key = tuple[str, ...]


class About(msgspec.Struct, frozen=True):
    """Whose a shard is: the process, what it does, and the processes with which it counts as one server.

    `leaders` have pid and start each: whoever leads the group of processes, such as gunicorn's arbiter. While one of
    them lives, another worker may take the place of a dead one. `folded` are the names of the shards it replaces.
    """

    pid: int
    role: str
    leaders: tuple[tuple[int, str], ...] = ()
    folded: tuple[str, ...] = ()


class Record(NamedTuple):
    """One child's numbers."""

    key: Key
    values: tuple[float, ...]


class Shard:
    """A file that this process writes, and locks for as long as it lives. Not thread-safe."""

    def __init__(self, path: Path, about: About) -> None:
        """Raises OSError."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._view: memoryview | None = None
        self._used = self._segments = 0
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._put(msgspec.json.encode(about), 0)
        except BaseException:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def add(self, key: Key, width: int) -> memoryview[float]:
        """`width` numbers under `key`, all 0. Raises OSError without space, and ValueError for a key too long."""
        encoded = msgspec.json.encode(key)
        if len(encoded) > MAX_KEY_BYTES:
            raise ValueError(f"a key of {len(encoded):,} bytes")
        return self._put(encoded, width)

    def close(self) -> None:
        """It is dead: nobody writes to it any more. Its numbers stay mapped for whoever has them."""
        with contextlib.suppress(OSError):
            os.close(self._file)

    def _put(self, key: bytes, width: int) -> memoryview[float]:
        begin = _LENGTHS.size + _padded(len(key))
        size = begin + 8 * width
        if self._view is None or self._used + size > SEGMENT_BYTES:
            self._view = self._segment()
            self._used = _USED.size
        record = self._view[self._used : self._used + size]
        _LENGTHS.pack_into(record, 0, len(key), width)
        record[_LENGTHS.size : _LENGTHS.size + len(key)] = key
        self._used += size
        _USED.pack_into(self._view, 0, self._used)
        return record[begin:].cast("d")

    def _segment(self) -> memoryview:
        offset = self._segments * SEGMENT_BYTES
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file, offset, SEGMENT_BYTES)
        else:
            os.ftruncate(self._file, offset + SEGMENT_BYTES)
        mapped = mmap.mmap(self._file, SEGMENT_BYTES, offset=offset)
        self._segments += 1
        return memoryview(mapped)


def is_live(path: Path) -> bool:
    """Whether the process that writes the shard at `path` lives; False where there is none. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def read(path: Path) -> tuple[About, list[Record]] | None:
    """Whose the shard at `path` is and what it holds; None where it is gone, or was not begun when its process died.

    Raises OSError where it is there and cannot be read now, such as for want of descriptors.
    """
    try:
        content = path.read_bytes()
        records = _records(content)
        about = msgspec.json.decode(next(records)[0], type=About)
        return about, [Record(msgspec.json.decode(key, type=Key), values) for key, values in records]
    except (FileNotFoundError, StopIteration, msgspec.MsgspecError, struct.error):
        return None


def write(path: Path, about: About, records: Sequence[Record]) -> None:
    """The shard at `path` holds `records`, all at once or not at all. Raises OSError."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    shard = Shard(draft, about)
    try:
        for record in records:
            cells = shard.add(record.key, len(record.values))
            for number, value in enumerate(record.values):
                cells[number] = value
    finally:
        shard.close()
    draft.replace(path)


def _records(content: bytes) -> Iterator[tuple[bytes, tuple[float, ...]]]:
    for base in range(0, len(content), SEGMENT_BYTES):
        (used,) = _USED.unpack_from(content, base)
        at = base + _USED.size
        while at < base + used:
            key_bytes, width = _LENGTHS.unpack_from(content, at)
            begin = at + _LENGTHS.size + _padded(key_bytes)
            key = content[at + _LENGTHS.size : at + _LENGTHS.size + key_bytes]
            yield key, struct.unpack_from(f"={width}d", content, begin)
            at = begin + 8 * width


def _padded(size: int) -> int:
    return size + -size % 8
