"""Rows that came as CSV or Parquet, and the features that they look like."""

from __future__ import annotations

import csv
import io
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
_CODE = re.compile(r"\s*[+-]?0[0-9]")
_BOOLEANS = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of cells. `is_text`: cells are text whose meaning a signature decides, as in CSV; "" is missing."""

    columns: dict[str, list[Any]]
    is_text: bool

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def feature(self, name: str) -> Feature:
        """The feature that the column `name` looks like. Raises InvalidArtifact when there is no such column."""
        if name not in self.columns:
            raise InvalidArtifact(f"The rows lack the column {name!r}, which the model needs.")
        cells = self.columns[name]
        return inferred_feature(name, _typed(cells) if self.is_text else cells)

    def rows(self, signature: Signature, what: str) -> list[dict[str, Any]]:
        """The rows as the signature reads them; other columns are left out. Raises InvalidArtifact."""
        names = [feature.name for feature in signature.features]
        absent = [name for name in names if name not in self.columns]
        if absent:
            raise InvalidArtifact(f"The {what} lacks the column {absent[0]!r}.")
        cells = zip(*(self.columns[name] for name in names), strict=True)
        try:
            return signature.rows([dict(zip(names, row, strict=True)) for row in cells], coerce=self.is_text)
        except InvalidInput as error:
            raise InvalidArtifact(f"The {what} breaks the signature: {error.message}", error.details) from None

    def sampled(self, count: int) -> Table:
        """At most `count` of the rows, picked at random but always the same ones, in their order."""
        if len(self) <= count:
            return self
        picked = sorted(random.Random(0).sample(range(len(self)), count))  # noqa: S311  (not for secrets)
        return Table({name: [cells[at] for at in picked] for name, cells in self.columns.items()}, self.is_text)


def read(given: FileGiven, what: str) -> Table:
    """The rows in a file, at least one. Raises InvalidArtifact for what is no such table."""
    content = Path(given.path).read_bytes()
    table = _parquet(content, what) if given.kind == "parquet" else _csv(content, what)
    if not len(table):
        raise InvalidArtifact(f"The {what} has no rows.")
    return table


def _csv(content: bytes, what: str) -> Table:
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
    return Table({name: [line[at] for line in lines] for at, name in enumerate(header)}, is_text=True)


def _parquet(content: bytes, what: str) -> Table:
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
        columns = {name: [_plain(cell, name) for cell in table[name].to_pylist()] for name in table.column_names}
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        raise InvalidArtifact(f"The {what} is not a Parquet file of plain columns: {str(error)[:200]}") from None
    return Table(columns, is_text=False)


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


def _typed(cells: Sequence[str]) -> list[Any]:
    # The narrowest type that fits every cell. What begins with a zero is a code, such as a postal one, and no number.
    present = {cell for cell in cells if cell.strip()}
    if any(_CODE.match(cell) for cell in present):
        return [cell or None for cell in cells]
    for kind in ("integer", "number"):
        meanings = {cell: values.coerced(cell, kind) for cell in present}
        if present and all(values.fitted(meaning, kind) is not None for meaning in meanings.values()):
            if kind == "integer" and any(isinstance(meaning, float) for meaning in meanings.values()):
                continue
            return [meanings.get(cell) for cell in cells]
    if present and all(cell.strip().lower() in _BOOLEANS for cell in present):
        return [values.coerced(cell, "boolean") if cell in present else None for cell in cells]
    return [cell or None for cell in cells]
