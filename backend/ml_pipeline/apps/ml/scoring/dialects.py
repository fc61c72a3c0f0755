"""Dialects: what the first line of a CSV says: its columns, what stands between them, and where the rows begin."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ml_pipeline.apps.ml.scoring import records
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import MalformedInput

MAX_COLUMNS = 10_000
DELIMITERS = (",", ";", "\t")
MARK = b"\xef\xbb\xbf"


class Dialect(NamedTuple):
    """The columns of a CSV, its delimiter, and where its rows begin: at a byte, in a line (from 1)."""

    header: tuple[str, ...]
    delimiter: str
    begin: int
    line: int


def read(path: Path) -> Dialect:
    """The dialect of the plain CSV at `path`. Raises MalformedInput for what is none."""
    with path.open("rb") as handle:
        head = handle.read(records.MAX_BYTES + len(MARK))
        is_whole = not handle.read(1)
    skipped = len(MARK) if head.startswith(MARK) else 0
    head = head[skipped:]
    if not head.strip():
        raise MalformedInput("The file is empty: a CSV has a line with its columns' names.")
    # Which of these it is, its cells will tell.
    end = records.first_end(head, "".join(DELIMITERS), is_last=is_whole)
    if b"\0" in head[:end]:
        raise MalformedInput("The file is not CSV: its first line has a NUL. Declare the encoding where it is UTF-16.")
    try:
        text = head[:end].decode()
    except UnicodeDecodeError:
        raise MalformedInput("The file's first line is not UTF-8; declare the encoding where it is another.") from None
    if not text.strip():
        raise MalformedInput("The file's first line is blank: a CSV begins with its columns' names.")
    delimiter, header = max(((one, _cells(text, one)) for one in DELIMITERS), key=lambda found: len(found[1]))
    check_header(header, " A CSV's first line has the columns' names.")
    return Dialect(tuple(header), delimiter, skipped + end, 1 + records.lines(head[:end]))


def check_header(header: list[str], advice: str = "") -> None:
    """Raises MalformedInput unless these are the names of columns: few enough, each another; `advice` follows."""
    if not 1 <= len(header) <= MAX_COLUMNS:
        raise MalformedInput(f"The file has {len(header):,} columns; it needs 1 to {MAX_COLUMNS:,}.")
    if len(set(header)) != len(header):
        twice = next(name for name, count in Counter(header).items() if count > 1)
        raise MalformedInput(f"The file has the column {twice[:60]!r} twice.{advice}")


def check_features(header: tuple[str, ...], signature: Signature) -> None:
    """Raises MalformedInput unless there is a column for every feature: one that may be missing is left empty."""
    absent = [name for name in signature.names if name not in set(header)]
    if absent:
        needed, found = _named(absent, 1), _named(header, 3)
        raise MalformedInput(f"The file lacks the column {needed}, which the algorithm needs. It has {found}.")


def _named(names: Sequence[str], most: int) -> str:
    """The first `most` of `names`, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(repr(name[:60]) for name in names[:most]) + more


def _cells(text: str, delimiter: str) -> list[str]:
    # For the whole process, and others may have set more.
    csv.field_size_limit(max(csv.field_size_limit(), records.MAX_BYTES))
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        raise MalformedInput(f"The file's first line is not CSV: {error}.") from None
