"""Records: where the rows of a CSV end. A quote opens where a cell begins; within quotes a line break is text.

A line ends with LF, CRLF or CR. A quote within a cell is a character like others, as for Python's csv module and Arrow.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ml_pipeline.errors import MalformedInput

# Of one row.
MAX_BYTES = 1_000_000
Places: TypeAlias = npt.NDArray[np.int64]
_LF, _CR, _QUOTE = 10, 13, 34
_TOO_LONG = "The row is longer than {most:,} bytes; perhaps a quote is not closed."
_UNCLOSED = "A quote is not closed."


def ends(block: bytes, delimiters: str, *, is_last: bool) -> Places:
    """Where each row of `block`, which begins with a row, ends: behind its line break, in order.

    Bytes behind the last are of a row that goes on; where the block `is_last`, the file ends there. Raises
    MalformedInput for a quote that is not closed then.
    """
    content = np.frombuffer(block, dtype=np.uint8)
    found = breaks(block, is_last=is_last)
    is_open = False
    if b'"' in block:
        inside, is_open = _quoted(block, content, delimiters, found)
        found = found[~inside]
    found += 1
    if is_last and block and (not len(found) or found[-1] != len(block)):
        if is_open:
            raise MalformedInput(_UNCLOSED)
        found = np.append(found, len(block))
    return found


def first_end(head: bytes, delimiters: str, *, is_last: bool) -> int:
    """Where the first row of `head` ends. Raises MalformedInput where that is too far."""
    found = ends(head, delimiters, is_last=False)
    if not len(found) and is_last:
        found = ends(head, delimiters, is_last=True)
    if not len(found) or found[0] > MAX_BYTES:
        raise too_long()
    return int(found[0])


def are_blank(block: bytes, found: Places) -> npt.NDArray[np.bool_]:
    """Which of the rows that end at `found` are nothing but a line break."""
    content = np.frombuffer(block, dtype=np.uint8)
    lengths = np.diff(found, prepend=0)
    blank: npt.NDArray[np.bool_] = lengths <= 2
    places = np.flatnonzero(blank)
    ending, before = content[found[places] - 1], content[found[places] - 2]
    is_break = (ending == _LF) | (ending == _CR)
    blank[places] = is_break & ((lengths[places] == 1) | ((ending == _LF) & (before == _CR)))
    return blank


def lines(block: bytes) -> int:
    """How many lines end in `block`."""
    returns = block.count(b"\r")
    return block.count(b"\n") + (returns - block.count(b"\r\n") if returns else 0)


def breaks(block: bytes, *, is_last: bool) -> Places:
    """Where each line of `block` ends: at its LF, or a CR without one."""
    content = np.frombuffer(block, dtype=np.uint8)
    newlines = np.flatnonzero(content == _LF)
    if b"\r" not in block:
        return newlines
    returns = np.flatnonzero(content == _CR)
    # The byte behind each; what is behind the last is not known before the next block.
    behind = np.append(content[1:], 0 if is_last else _LF)[returns]
    lone = returns[behind != _LF]
    return np.sort(np.concatenate([newlines, lone])) if len(lone) else newlines


def too_long() -> MalformedInput:
    """The refusal of a row beyond the bound."""
    return MalformedInput(_TOO_LONG.format(most=MAX_BYTES))


def _quoted(
    block: bytes, content: npt.NDArray[np.uint8], delimiters: str, breaks: Places
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Which of `breaks` are within quotes, and whether the last quote is still open."""
    quotes = np.flatnonzero(content == _QUOTE)
    opening = quotes[::2]
    before = content[opening - 1]
    # Every second quote opens, where each of those is at the beginning of a cell or the second of a doubled one.
    opens = np.isin(before, np.frombuffer(f'{delimiters}\n\r"'.encode(), dtype=np.uint8)) | (opening == 0)
    if opens.all():
        return np.searchsorted(quotes, breaks) % 2 == 1, len(quotes) % 2 == 1
    return _walked(block, delimiters, breaks)


def _walked(block: bytes, delimiters: str, breaks: Places) -> tuple[npt.NDArray[np.bool_], bool]:
    # Quotes stand within cells: each quoted cell is looked for where the one before has ended.
    beginning = f"[{re.escape(delimiters)}\n\r]".encode()
    cell = re.compile(rb"(?:\A|(?<=" + beginning + rb'))"(?:[^"]++|"")*+("|\Z)')
    cells = [(one.start(), one.end(), one[1] == b'"') for one in cell.finditer(block)]
    if not cells:
        return np.zeros(len(breaks), dtype=np.bool_), False
    spans = np.array([one[:2] for one in cells], dtype=np.int64)
    begun = np.searchsorted(spans[:, 0], breaks, side="right")
    ended = np.searchsorted(spans[:, 1], breaks, side="right")
    return begun > ended, not cells[-1][2]
