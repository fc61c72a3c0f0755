"""Rows that came as CSV or Parquet, and the features that they look like."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.registration.submission import FileGiven
from ml_pipeline.apps.ml.signature import Feature, Signature, inferred_feature
from ml_pipeline.errors import InvalidArtifact, InvalidInput

MAX_ROWS = 100_000
MAX_COLUMNS = 10_000
MAX_CELL = 10_000_000
# Parquet packs a column of equal cells into almost nothing, and each is an object once it is read.
MAX_CELLS = 20_000_000
_CODE = re.compile(r"\A\s*[+-]?0[0-9]")
# What pandas, R and spreadsheets write for a number that is missing.
_MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "null", "none"})
# As wide as a type may turn out in the other table.
_AS_WIDE = {"integer": ("integer", "number")}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of cells. `is_text`: cells are text whose meaning a signature decides, as in CSV; "" is missing.

    `content` is the sha256 of all rows that came, also where these are some of them.
    """

    columns: dict[str, list[Any]]
    is_text: bool
    content: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def rows(self, signature: Signature, what: str) -> list[dict[str, Any]]:
        """The rows as the signature reads them; other columns are left out. Raises InvalidArtifact."""
        names = [feature.name for feature in signature.features]
        absent = [name for name in names if name not in self.columns]
        if absent:
            raise InvalidArtifact(f"The {what} lacks the column {absent[0]!r}.")
        cells = zip(*(self._cells(feature) for feature in signature.features), strict=True)
        try:
            return signature.rows([dict(zip(names, row, strict=True)) for row in cells], coerce=self.is_text)
        except InvalidInput as error:
            raise InvalidArtifact(f"The {what} breaks the signature: {error.message}", error.details) from None

    def _cells(self, feature: Feature) -> list[Any]:
        cells = self.columns[feature.name]
        # In a column of text these are words like others.
        if not self.is_text or feature.type == "string":
            return cells
        return [None if is_missing(cell) else cell for cell in cells]

    def sampled(self, count: int) -> Table:
        """At most `count` of the rows, picked at random but always the same ones, in their order."""
        if len(self) <= count:
            return self
        picked = sorted(random.Random(0).sample(range(len(self)), count))  # noqa: S311  (not for secrets)
        columns = {name: [cells[at] for at in picked] for name, cells in self.columns.items()}
        return replace(self, columns=columns)


def read(given: FileGiven, what: str) -> Table:
    """The rows in a file, at least one. Raises InvalidArtifact for what is no such table."""
    content = Path(given.path).read_bytes()
    columns = _parquet(content, what) if given.kind == "parquet" else _csv(content, what)
    digest = hashlib.sha256()
    for name, cells in sorted(columns.items()):
        # A line each: no JSON has a line break of its own.
        digest.update(json.dumps([name, cells]).encode() + b"\n")
    table = Table(columns, given.kind != "parquet", digest.hexdigest())
    if not len(table):
        raise InvalidArtifact(f"The {what} has no rows.")
    return table


def feature(name: str, known: Sequence[Table], *, is_text: bool = False) -> Feature:
    """The feature that the columns `name` in all of `known` look like together; a string where `is_text`.

    Parquet says what type it is of, and cells of CSV are read as that. Raises InvalidArtifact where no table has the
    column, and where they do not agree.
    """
    having = [table for table in known if name in table.columns]
    if not having:
        raise InvalidArtifact(f"The rows lack the column {name[:60]!r}, which the model needs.")
    typed = [cell for table in having if not table.is_text for cell in table.columns[name]]
    texts = [cell for table in having if table.is_text for cell in table.columns[name]]
    if is_text:
        if any(cell is not None and not isinstance(cell, str) for cell in typed):
            raise InvalidArtifact(
                f"The column {name[:60]!r} is of no text in Parquet, and the model was fitted on text."
            )
        return replace(inferred_feature(name, typed + [cell or None for cell in texts]), type="string")
    shown = inferred_feature(name, typed)
    if any(cell is not None for cell in typed):
        meanings = _read(texts, _AS_WIDE.get(shown.type, (shown.type,)))
    # What begins with a zero is a code, such as a postal one, and no number.
    elif any(_CODE.match(cell) for cell in texts):
        meanings = _read(texts, ("string",))
    else:
        meanings = _read(texts, ("integer", "number", "boolean", "string"))
    if meanings is None:
        raise InvalidArtifact(f"The column {name[:60]!r} is of {shown.type} in Parquet, and in CSV it is not.")
    return inferred_feature(name, typed + meanings)


def is_missing(cell: Any) -> bool:
    """Whether the cell of a column of numbers or truth values is a missing one: None, blank, or a word for it."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING)


def _csv(content: bytes, what: str) -> dict[str, list[Any]]:
    csv.field_size_limit(MAX_CELL)
    try:
        # Spreadsheets begin a CSV with a byte order mark, which would hide the first column.
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        _check_header(header, what)
        lines = []
        for line in reader:
            if len(line) != len(header) and line:
                raise InvalidArtifact(f"Line {reader.line_num} of the {what} has {len(line)} cells, not {len(header)}.")
            # An empty line of a one-column file is a missing value, elsewhere it is nothing.
            if line or len(header) == 1:
                lines.append(line or [""])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidArtifact(f"The {what} is not CSV in UTF-8: {error}.") from None
    return {name: [line[at] for line in lines] for at, name in enumerate(header)}


def _parquet(content: bytes, what: str) -> dict[str, list[Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        # Judged before a column is read.
        _check_header(file.schema_arrow.names, what)
        nested = [field.name for field in file.schema_arrow if pyarrow.types.is_nested(field.type)]
        if nested:
            raise InvalidArtifact(f"The {what} has the column {nested[0][:60]!r}, which is of lists or objects.")
        if file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS:
            raise InvalidArtifact(f"The {what} has more than {MAX_CELLS:,} cells.")
        # One thread, and none of what pandas left in the file: only columns of plain values.
        table = file.read(use_threads=False)
        return {name: [_plain(cell, name) for cell in table[name].to_pylist()] for name in table.column_names}
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise InvalidArtifact(f"The {what} is not a Parquet file of plain columns: {str(error)[:200]}") from None


def _plain(cell: Any, name: str) -> Any:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if not isinstance(cell, bool | int | float | str):
        raise TypeError(f"the column {name!r} has a {type(cell).__name__}, which is no number, text or truth value")
    return cell


def _check_header(header: Sequence[str], what: str) -> None:
    if not header or len(header) > MAX_COLUMNS:
        raise InvalidArtifact(f"The {what} has {len(header)} columns; it needs 1 to {MAX_COLUMNS:,}.")
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InvalidArtifact(f"The {what} has the column {twice!r} twice.")


def _read(texts: Sequence[str], kinds: Sequence[str]) -> list[Any] | None:
    """The cells as the first of `kinds` that fits every one, None for a missing one; None where no kind does."""
    distinct = set(texts)
    for kind in kinds:
        if kind == "string":
            return [cell or None for cell in texts]
        meanings = {cell: None if is_missing(cell) else values.coerced(cell, kind) for cell in distinct}
        if all(_is_of(kind, meaning, cell) for cell, meaning in meanings.items()):
            return [meanings[cell] for cell in texts]
    return None


def _is_of(kind: str, meaning: Any, cell: str) -> bool:
    if meaning is None:
        return True
    # A column of 1.0 is of numbers, and one of 0 and 1 is no column of truth values.
    if (kind == "integer" and isinstance(meaning, float)) or (kind == "boolean" and cell.strip() in {"0", "1"}):
        return False
    return values.fitted(meaning, kind) is not None
