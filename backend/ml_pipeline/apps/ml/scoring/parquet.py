"""Parquet: what a file has, and its rows in chunks. It is decoded by a process of its own under limits (see `reader`).

The process that asks takes no more than a chunk at once, of bounded size, and looks into none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from ml_pipeline.apps.ml.isolation import processes
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import cuts, dialects, ids, messages
from ml_pipeline.apps.ml.scoring.channels import BrokenMessage, Channel
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.messages import Outline, Piece, Reading, Refusal
from ml_pipeline.errors import MalformedInput

_READER = "ml_pipeline.apps.ml.scoring.reader"
# Beside its libraries, of which it has no more than some 60 MB in memory.
ALLOWED = Limits(memory_bytes=300_000_000, cpu_s=None, file_bytes=0, nice=0)
# For what the file says of itself, and for each chunk; most of the first goes to imports on a busy machine.
DEADLINE_S = 30.0
# Of a message from that process, whatever made it send that.
MAX_MESSAGE_BYTES = 40_000_000
# One thread and what the system allocates: others reserve more addresses than the process may have.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "ARROW_IO_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def outline(path: Path, *, rows: int = cuts.ROWS, deadline_s: float = DEADLINE_S) -> Outline:
    """The file's columns and row groups, from what it says of itself: a child process reads that and ends.

    Raises MalformedInput for what is no Parquet of plain columns, in groups of bearable number and size.
    """
    with _Reader(path, rows, None, deadline_s) as reader:
        return reader.outline


def header(path: Path) -> tuple[str, ...]:
    """The file's columns. Raises as `outline`, of which it is a part."""
    return outline(path).header


def of_outline(about: Outline) -> Iterator[Cut]:
    """All chunks of a file, each of one row group; made here, as they are asked for."""
    number, first_row = 0, 0
    for left, rows in about.groups:
        for begin in range(0, left, rows):
            count = min(rows, left - begin)
            yield Cut(number, first_row, count, first_row, 0, count)
            number, first_row = number + 1, first_row + count


def contents(
    path: Path, *, rows: int = cuts.ROWS, after: int = -1, deadline_s: float = DEADLINE_S
) -> Iterator[tuple[Cut, bytes]]:
    """The chunks of the file whose numbers are above `after`, each with its rows as a stream of Arrow.

    A child process decodes them, one ahead of who takes them; it ends with the iteration, and with the thread that
    began it. It has `deadline_s` for each. Raises MalformedInput as `outline` does, and for a group that is broken.
    """
    with _Reader(path, rows, after, deadline_s) as reader:
        for cut in of_outline(reader.outline):
            content = reader.piece()
            if (content is None) != (cut.number <= after):
                raise MalformedInput(_ENDED)
            if content is not None:
                yield cut, content


_ENDED = (
    f"The file cannot be read: the process that did so ended or was late, as where a file is broken or what it says "
    f"expands to more than {ALLOWED.memory_bytes:,} bytes."
)


class _Reader:
    """The handle to the child that reads one file: a context manager."""

    def __init__(self, path: Path, rows: int, after: int | None, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._process, ours = processes.started(_READER, _ENVIRONMENT)
        self._channel = Channel(ours, MAX_MESSAGE_BYTES)
        self._asked = messages.encode(Reading(str(path.absolute()), rows, after, asdict(ALLOWED), os.getpid()))

    def __enter__(self) -> _Reader:
        try:
            self._channel.tell(self._asked)
            self.outline = _checked(self._told())
        except OSError:
            self.__exit__()
            raise MalformedInput(_ENDED) from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def piece(self) -> bytes | None:
        """The rows of the next chunk; None for one that is passed over."""
        told = self._told()
        if not isinstance(told, Piece):
            raise MalformedInput(_ENDED)
        return told.content

    def _told(self) -> Outline | Piece:
        try:
            told: Outline | Piece | Refusal = messages.told(self._channel.received(time.monotonic() + self._deadline_s))
        except (EOFError, OSError, BrokenMessage, msgspec.MsgspecError):
            raise MalformedInput(_ENDED) from None
        if isinstance(told, Refusal):
            raise MalformedInput(told.message[:500])
        return told


def _checked(told: Outline | Piece) -> Outline:
    """Raises MalformedInput where this is no file's outline: who reads hostile files may have been overcome by one."""
    if not isinstance(told, Outline):
        raise MalformedInput(_ENDED)
    dialects.check_header(list(told.header))
    if any(left < 0 or rows < 1 for left, rows in told.groups) or sum(one[0] for one in told.groups) > ids.MAX_ROWS:
        raise MalformedInput(_ENDED)
    return told
