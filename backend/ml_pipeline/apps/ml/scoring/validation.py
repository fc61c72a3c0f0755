"""Validation: columns of cells as the columns of a model, at once for all rows that are plain.

Plain is what is, by its form, exactly what `Signature.rows` accepts, with the value that it gives. Each other row goes
through `Signature.rows` itself, which alone refuses, and words it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import Complaint, InvalidInput

Mask: TypeAlias = npt.NDArray[np.bool_]
# As `values.coerced` knows a number, once blanks around it are gone; RE2, for which digits are those of ASCII.
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$"
_PLAIN = b"0123456789.-"
_MAX_LENGTH = 400


class Texts(NamedTuple):
    """A column of text: of each row the place of its own among the different ones; missing is ""."""

    codes: npt.NDArray[np.int32]
    texts: list[str]

    def array(self) -> npt.NDArray[np.object_]:
        """The column as `Signature.columns` makes it."""
        return np.array(self.texts, dtype=object)[self.codes]


class Inputs(NamedTuple):
    """What a model is asked for some rows: a column a feature, numbers as float64, NaN for a missing one."""

    columns: dict[str, Texts | npt.NDArray[np.float64]]
    rows: int

    def array(self, name: str) -> npt.NDArray[Any]:
        """The column `name` as `Signature.columns` makes it."""
        column = self.columns[name]
        return column.array() if isinstance(column, Texts) else column

    def arrays(self) -> Columns:
        """All columns as `Signature.columns` makes them."""
        return {name: self.array(name) for name in self.columns}

    def taken(self, places: Places) -> Inputs:
        """The rows at `places`."""
        return Inputs({name: _taken(column, places) for name, column in self.columns.items()}, len(places))

    def without(self, missing: frozenset[str]) -> Inputs:
        """The same rows, in which no text is one of `missing`, but itself missing."""
        if not missing:
            return self
        columns = {
            name: Texts(one.codes, ["" if text in missing else text for text in one.texts])
            if isinstance(one, Texts)
            else one
            for name, one in self.columns.items()
        }
        return Inputs(columns, self.rows)

    def records(self, signature: Signature) -> Records:
        """The rows as `Signature.rows` makes them."""
        cells = [_values(feature, self.columns[feature.name]) for feature in signature.features]
        return Records(signature.names, list(zip(*cells, strict=True)))


def checked(
    cells: dict[str, pa.Array], signature: Signature, *, coerce: bool
) -> tuple[Inputs, Places, dict[int, tuple[Complaint, ...]]]:
    """The inputs of all rows of `cells` that fit, the places of these rows, and what is wrong with each other one.

    With `coerce` cells are text, null where it is empty, else values of their own type.
    """
    rows = len(next(iter(cells.values())))
    columns: dict[str, Any] = {}
    plain = np.ones(rows, dtype=np.bool_)
    for feature in signature.features:
        columns[feature.name], its = _read(cells[feature.name], feature, coerce)
        plain &= its
    complaints: dict[int, tuple[Complaint, ...]] = {}
    patches: dict[int, dict[str, Any]] = {}
    for place in np.flatnonzero(~plain).tolist():
        row = {name: cell[place].as_py() for name, cell in cells.items() if name in columns}
        if coerce:
            row = {name: "" if cell is None else cell for name, cell in row.items()}
        try:
            patches[place] = signature.rows([_without_nan(row)], coerce=coerce)[0]
        except InvalidInput as error:
            complaints[place] = error.complaints
    for feature in signature.features:
        columns[feature.name] = _patched(columns[feature.name], feature, patches)
    kept = np.delete(np.arange(rows, dtype=np.int64), list(complaints))
    if complaints:
        columns = {name: _taken(column, kept) for name, column in columns.items()}
    return Inputs(columns, len(kept)), kept, complaints


def of_columns(columns: Columns) -> Inputs:
    """The inputs of columns as `Signature.columns` makes them."""
    found: dict[str, Any] = {}
    for name, column in columns.items():
        if column.dtype == object:
            places: dict[str, int] = {}
            codes = [places.setdefault(text, len(places)) for text in column.tolist()]
            found[name] = Texts(np.array(codes, dtype=np.int32), list(places))
        else:
            found[name] = column
    return Inputs(found, len(next(iter(columns.values()))))


def _read(cells: pa.Array, feature: Feature, coerce: bool) -> tuple[Any, Mask]:
    """The column, and of which rows its cell is plain."""
    is_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if feature.type == "string":
        return _texts(cells, feature, coerce) if is_text else _nothing(cells, feature)
    if is_text and not coerce:
        return _nothing(cells, feature)
    if feature.type == "boolean":
        return _truths(cells, feature, coerce)
    if is_text:
        return _numbers(_numeric(cells), feature)
    if pa.types.is_floating(cells.type):
        # In Parquet NaN is how a missing number is written.
        return _numbers(pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells).cast(pa.float64()), feature)
    if pa.types.is_integer(cells.type):
        return _numbers(cells.cast(pa.float64(), safe=False), feature)
    return _nothing(cells, feature)


def _nothing(cells: pa.Array, feature: Feature) -> tuple[Any, Mask]:
    none = np.zeros(len(cells), dtype=np.bool_)
    if feature.type == "string":
        return Texts(np.zeros(len(cells), dtype=np.int32), [""]), none
    return np.full(len(cells), math.nan), none


def _texts(cells: pa.Array, feature: Feature, coerce: bool) -> tuple[Texts, Mask]:
    coded = cells.fill_null("").dictionary_encode()
    texts = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    # A null of Parquet is no empty text, and an empty cell of CSV is.
    may_lack = coerce or feature.nullable or not cells.null_count
    fits = np.ones(len(cells), dtype=np.bool_) if may_lack else ~_nulls(cells)
    if feature.is_closed:
        known = set(feature.categories)
        fitting = [text in known or (text == "" and feature.nullable) for text in texts]
        fits &= np.array(fitting, dtype=np.bool_)[codes] if texts else fits
    return Texts(codes, texts), fits


def _truths(cells: pa.Array, feature: Feature, coerce: bool) -> tuple[Any, Mask]:
    if not coerce and not pa.types.is_boolean(cells.type):
        return _nothing(cells, feature)
    coded = cells.dictionary_encode()
    meanings = [values.coerced(one, "boolean") if coerce else one for one in coded.dictionary.to_pylist()]
    fitting = [isinstance(one, bool) or (one is None and feature.nullable) for one in meanings] + [feature.nullable]
    numbers = [float(one) if isinstance(one, bool) else math.nan for one in meanings] + [math.nan]
    codes = coded.indices.fill_null(len(meanings)).to_numpy(zero_copy_only=False)
    return np.array(numbers)[codes], np.array(fitting, dtype=np.bool_)[codes]


def _numeric(cells: pa.Array) -> tuple[pa.Array, Mask] | pa.Array:
    """Texts as float64 and which of them may be read so; where nothing is unusual, these alone."""
    offsets = np.frombuffer(cells.buffers()[1], dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    content = cells.buffers()[2]
    is_plain = (
        not len(cells)
        or content is None
        or (
            not content[int(offsets[0]) : int(offsets[-1])].to_pybytes().translate(None, _PLAIN)
            and int(np.diff(offsets).max()) <= _MAX_LENGTH
        )
    )
    if is_plain:
        try:
            return cells.cast(pa.float64())
        except pa.ArrowInvalid:
            pass
    trimmed = pc.ascii_trim(cells, characters=" \t")
    fits = pc.and_(
        pc.match_substring_regex(trimmed, pattern=_NUMBER), pc.less_equal(pc.binary_length(trimmed), _MAX_LENGTH)
    )
    may = pc.fill_null(fits, True)
    read = pc.if_else(may, trimmed, pa.scalar(None, cells.type)).cast(pa.float64())
    return read, may.to_numpy(zero_copy_only=False)


def _numbers(given: tuple[pa.Array, Mask] | pa.Array, feature: Feature) -> tuple[Any, Mask]:
    cells, may = given if isinstance(given, tuple) else (given, np.ones(len(given), dtype=np.bool_))
    column = cells.to_numpy(zero_copy_only=False)
    # Exact, and not the negative zero, which is 0 where it is an integer.
    most = values.MAX_INTEGER - 1 if feature.type == "integer" else values.MAX_NUMBER
    least, most = (max(-most, feature.bounds[0]), min(most, feature.bounds[1])) if feature.bounds else (-most, most)
    with np.errstate(invalid="ignore"):
        fits: Mask = (column >= least) & (column <= most)
        if feature.type == "integer":
            fits &= np.floor(column) == column
    fits &= (column != 0) | ~np.signbit(column)
    if feature.is_closed:
        known = [int(one) for one in feature.categories if one.lstrip("-").isdecimal() and str(int(one)) == one]
        fits &= np.isin(column, known)
    if feature.nullable and cells.null_count:
        fits |= _nulls(cells)
    return column, fits & may


def _nulls(cells: pa.Array) -> Mask:
    found: Mask = cells.is_null().to_numpy(zero_copy_only=False)
    return found


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in row.items()}


def _patched(column: Any, feature: Feature, patches: dict[int, dict[str, Any]]) -> Any:
    if not patches:
        return column
    places, its = list(patches), [row[feature.name] for row in patches.values()]
    if not isinstance(column, Texts):
        column = column.copy()
        column[places] = [math.nan if cell is None else cell for cell in its]
        return column
    known = {text: code for code, text in enumerate(column.texts)}
    codes = column.codes.copy()
    codes[places] = [known.setdefault(cell or "", len(known)) for cell in its]
    return Texts(codes, list(known))


def _taken(column: Any, kept: Places) -> Any:
    return Texts(column.codes[kept], column.texts) if isinstance(column, Texts) else column[kept]


def _values(feature: Feature, column: Any) -> list[Any]:
    if isinstance(column, Texts):
        missing = None if feature.nullable else ""
        texts = [text or missing for text in column.texts]
        return [texts[code] for code in column.codes.tolist()]
    kind: Callable[[float], Any] = {"integer": int, "boolean": bool, "number": float}[feature.type]
    return [None if cell != cell else kind(cell) for cell in column.tolist()]  # noqa: PLR0124
