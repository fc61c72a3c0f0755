"""What is checked in columns is what `Signature.rows` makes of the rows one by one: values, and refusals by word."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml_pipeline.apps.ml.scoring import validation
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.tables import Chunk
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidInput

FEATURES = [
    Feature("number", "number"),
    Feature("number or none", "number", nullable=True),
    Feature("bounded", "number", bounds=(-1.5, 1000.0)),
    Feature("integer", "integer"),
    Feature("integer or none", "integer", nullable=True),
    Feature("small", "integer", bounds=(0.0, 255.0)),
    Feature("code", "integer", categories=("-1", "0", "39", "007", "x"), is_closed=True),
    Feature("text", "string"),
    Feature("text or none", "string", nullable=True),
    Feature("word", "string", categories=("a", "nan", "1"), is_closed=True),
    Feature("word or none", "string", nullable=True, categories=("a", "nan", "1"), is_closed=True),
    Feature("truth", "boolean"),
    Feature("truth or none", "boolean", nullable=True),
]
ODD = [
    "", " ", "nan", " 39", "39 ", "\t39", "\u00a039", "1e3", "1E+03", "1e00003", "0x10", "+5", "-5", "٣",
    "1_000", "True", "FALSE", "true ", "0", "1", "-0", "-0.0", "0.0", "+0", "39", "39.0", "39.5", "007", ".5",
    "5.", ".", "-", "--1", "1-2", "1.2.3", "inf", "-Infinity", "1e400", "1e-400", "-1e-400", "3.5e38",
    "3.4028234663852886e38", "255", "256", "-1", "9007199254740992", "9007199254740993", "-9007199254740992",
    "9007199254740991", "9" * 50, "0" * 399 + "1", "0" * 400 + "1", "0." + "3" * 500, "a", "A", "é", '"', "a,b",
    "a\nb", "None", "null", "=1",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(ODD),
    st.integers().map(str),
    st.integers(-1000, 1000).map(str),
    st.floats().map(repr),
    st.text("0123456789.eE+- _x", max_size=8),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)


def row_wise(signature: Signature, rows: list[dict[str, Any]], *, coerce: bool) -> tuple[list[Any], dict[int, Any]]:
    accepted, complaints = [], {}
    for place, row in enumerate(rows):
        try:
            accepted.append(signature.rows([row], coerce=coerce)[0])
        except InvalidInput as error:
            complaints[place] = error.complaints
    return accepted, complaints


def agrees(cells: dict[str, pa.Array], features: list[Feature], rows: list[dict[str, Any]], *, coerce: bool) -> None:
    signature = Signature(tuple(features), "regression")
    accepted, refused = row_wise(signature, rows, coerce=coerce)
    inputs, kept, complaints = validation.checked(cells, signature, coerce=coerce)
    assert complaints == refused
    assert kept.tolist() == [place for place in range(len(rows)) if place not in refused]
    assert inputs.rows == len(kept)
    for name, column in signature.columns(accepted).items():
        made = inputs.arrays()[name]
        assert made.dtype == column.dtype
        assert made.shape == column.shape
        assert [repr(one) for one in made.tolist()] == [repr(one) for one in column.tolist()]
    # By type too: an integer is none with a point.
    assert repr(list(inputs.records(signature))) == repr(accepted)


def as_text(cells: list[str]) -> pa.Array:
    return pa.array([cell or None for cell in cells], pa.string())


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
@settings(deadline=None, max_examples=60)
@given(cells=st.lists(TEXTS, min_size=1, max_size=8))
@example(cells=ODD)
@example(cells=["0", "-0", "-1.5", "255.0", "39"])
def test_a_column_of_text(feature: Feature, cells: list[str]) -> None:
    agrees({feature.name: as_text(cells)}, [feature], [{feature.name: cell} for cell in cells], coerce=True)
    # Each alone is plain or not by itself, and not by its neighbours.
    for cell in cells:
        agrees({feature.name: as_text([cell])}, [feature], [{feature.name: cell}], coerce=True)


@settings(deadline=None, max_examples=60)
@given(table=st.lists(st.lists(TEXTS, min_size=len(FEATURES), max_size=len(FEATURES)), min_size=1, max_size=6))
def test_all_columns_of_a_csv(table: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["extra", *row] for row in table])
    header = ("extra", *(feature.name for feature in FEATURES))
    content = out.getvalue().encode()
    chunk = Chunk(content, Dialect(header, ",", 0, 2), Cut(0, 0, len(content), 0, 2, len(table)))
    read = chunk.read([feature.name for feature in FEATURES])
    assert (read.places.tolist(), read.rejected) == (list(range(len(table))), [])
    rows = [dict(zip(header[1:], row, strict=True)) for row in table]
    agrees(read.columns, FEATURES, rows, coerce=True)


VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int64": (pa.int64(), st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))),
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "float64": (pa.float64(), st.one_of(st.floats(), st.integers(-300, 300).map(float))),
    "float32": (pa.float32(), st.floats(width=32)),
    "string": (pa.string(), st.sampled_from(ODD)),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(ODD)),
    "boolean": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates()),
}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
@pytest.mark.parametrize("kind", VALUES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_column_of_values(feature: Feature, kind: str, data: st.DataObject) -> None:
    wanted, strategy = VALUES[kind]
    column = pa.array(data.draw(st.lists(st.none() | strategy, min_size=1, max_size=6)), wanted)
    cells = [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in column.to_pylist()]
    agrees({feature.name: column}, [feature], [{feature.name: cell} for cell in cells], coerce=False)


def test_a_slice_of_a_column_is_read_alone() -> None:
    whole = as_text(["x", "1", "2", "1_0"])
    agrees({"number": whole.slice(1, 2)}, FEATURES[:1], [{"number": "1"}, {"number": "2"}], coerce=True)


def test_a_text_of_a_model_is_one_object_a_different_one() -> None:
    inputs, _, _ = validation.checked(
        {"text": as_text(["a", "b", "a"])}, Signature((FEATURES[7],), "regression"), coerce=True
    )
    column = inputs.columns["text"]
    assert isinstance(column, validation.Texts)
    assert column.texts == ["a", "b"]
    np.testing.assert_array_equal(column.codes, [0, 1, 0])
