"""Rows as callers have them, mappings or DataFrames, as the JSON that a server reads; without pandas or numpy."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ml_pipeline.errors import CallFailed, Complaint, InvalidInput, Refused

MAX_ROWS = 10_000
# A little below the server's limit: the brackets and commas between rows count too.
MAX_PART_BYTES = 9_900_000
_MISSING = {"NAType", "NaTType"}


class Part(NamedTuple):
    """Rows for one request: the index of the first of them, and their JSON list."""

    first: int
    body: bytes


def is_frame(rows: Any) -> bool:
    """Whether `rows` behaves as a pandas DataFrame."""
    return hasattr(rows, "to_dict") and hasattr(rows, "columns")


def single(rows: Any) -> Mapping[Any, Any] | None:
    """The one row that `rows` is, a mapping or a pandas Series, or None when it is a list or a DataFrame."""
    if isinstance(rows, Mapping):
        return rows
    if hasattr(rows, "to_dict") and hasattr(rows, "index") and not is_frame(rows):
        mapping: Mapping[Any, Any] = rows.to_dict()
        return mapping
    return None


def listed(rows: Any) -> list[Any]:
    """The rows of a list of mappings or a DataFrame, as mappings. Raises InvalidInput for anything else."""
    if is_frame(rows):
        if not rows.columns.is_unique:
            raise InvalidInput([Complaint(None, None, "columns with a name each", "a DataFrame that repeats a name")])
        records: list[Any] = rows.to_dict("records")
        return records
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return list(rows)
    expected = "a mapping, a list of mappings or a DataFrame"
    raise InvalidInput([Complaint(None, None, expected, type(rows).__name__)])


def document(row: Any, index: int | None = None) -> bytes:
    """The JSON object of one row. Raises InvalidInput, naming `index` and the field, for what JSON cannot say."""
    if not isinstance(row, Mapping):
        raise InvalidInput([Complaint(index, None, "a mapping of names to values", type(row).__name__)])
    plain = {str(name): cell(value, index, str(name)) for name, value in row.items()}
    try:
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InvalidInput([Complaint(index, None, "text that UTF-8 can write", "a lone surrogate")]) from None


def cell(value: Any, index: int | None = None, name: str | None = None) -> Any:
    """`value` as JSON has it: None for NaN, NaT and NA; the Python value of a numpy scalar. Raises InvalidInput."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise InvalidInput([Complaint(index, name, "a finite number", repr(float(value)))])
        return None if math.isnan(value) else float(value)
    if type(value).__name__ in _MISSING:
        return None
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return cell(value.item(), index, name)
    raise InvalidInput([Complaint(index, name, "a number, a string, true, false or nothing", type(value).__name__)])


def metadata(about: Mapping[str, Any]) -> str:
    """The JSON object of what is said about a model. Raises InvalidInput for what JSON cannot say, NaN too."""
    try:
        return json.dumps(about, allow_nan=False, default=cell)
    except (ValueError, TypeError) as error:
        raise InvalidInput([Complaint(None, "metadata", "values that JSON can say", str(error))]) from None


def parts(rows: Any) -> Iterator[Part]:
    """The rows in as few requests as the server's limits on rows and bytes allow, in order; one at least."""
    held: list[bytes] = []
    first, size_bytes = 0, 0
    for index, row in enumerate(listed(rows)):
        text = document(row, index)
        if held and (len(held) == MAX_ROWS or size_bytes + len(text) + 1 > MAX_PART_BYTES):
            yield _part(first, held)
            first, size_bytes, held = index, 0, []
        held.append(text)
        size_bytes += len(text) + 1
    yield _part(first, held)


def whole(rows: Any) -> Part:
    """All rows as one request, however many they are."""
    return _part(0, [document(row, index) for index, row in enumerate(listed(rows))])


@contextlib.contextmanager
def told_of_earlier_parts(part: Part) -> Iterator[None]:
    """When `part` fails, the error says what was done before it, and counts rows from the first of all."""
    try:
        yield
    except CallFailed as error:
        if not part.first:
            raise
        told = f"The rows before row {part.first:,} were taken, and none from there on"
        if not isinstance(error, Refused):
            raise type(error)(f"{told}: {error.message}") from None
        details, rows = error.details, False
        if isinstance(details, list):
            details = [{**one, "row": one["row"] + part.first} if _names_a_row(one) else one for one in details]
            rows = any(map(_names_a_row, details))
        sentence = f"{told}." if rows else f"{told}: {error.message}"
        raise Refused(error.status, error.code, sentence, details, error.retry_after_s) from None


def _part(first: int, held: list[bytes]) -> Part:
    return Part(first, b"[" + b",".join(held) + b"]")


def _names_a_row(detail: Any) -> bool:
    return isinstance(detail, dict) and isinstance(detail.get("row"), int)
