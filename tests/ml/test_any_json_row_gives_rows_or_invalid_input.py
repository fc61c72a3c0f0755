"""For any JSON value a signature gives normalised rows that fit columns, or InvalidInput, and nothing else."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.apps.ml.signature import Feature, FeatureType, Signature
from ml_pipeline.errors import InvalidInput

KINDS: tuple[FeatureType, ...] = ("integer", "number", "string", "boolean")
FEATURES = tuple(
    Feature(f"{kind}{'?' if nullable else ''}", kind, nullable) for kind in KINDS for nullable in (False, True)
)
SIGNATURE = Signature(FEATURES, "regression")

TEXT = some.text(max_size=20)
SCALARS = some.none() | some.booleans() | some.integers(-(10**308), 10**308) | some.floats() | TEXT
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner) | some.dictionaries(TEXT, inner), max_leaves=8)
FITTING = {
    "integer": some.integers(-(2**53), 2**53) | some.integers(-(2**53), 2**53).map(float),
    "number": some.floats(width=32, allow_nan=False, allow_infinity=False) | some.integers(-(2**53), 2**53),
    "string": TEXT,
    "boolean": some.booleans(),
}
FITTING_ROWS = some.fixed_dictionaries(
    {feature.name: FITTING[feature.type] for feature in FEATURES if not feature.nullable},
    optional={feature.name: some.none() | FITTING[feature.type] for feature in FEATURES if feature.nullable},
)
NAMES = some.sampled_from([feature.name for feature in FEATURES]) | TEXT
ITEMS = VALUES | some.dictionaries(NAMES, VALUES) | FITTING_ROWS

repeatable = settings(derandomize=True, deadline=None, max_examples=200)


def fits(value: Any, feature: Feature) -> bool:
    if value is None:
        return feature.nullable
    match feature.type:
        case "integer":
            return type(value) is int and abs(value) <= 2**53
        case "number":
            return type(value) is float and math.isfinite(value) and abs(value) < 3.5e38
        case "string":
            return type(value) is str and (value != "" or not feature.nullable)
        case "boolean":
            return type(value) is bool


@repeatable
@given(some.lists(ITEMS, max_size=5), some.booleans())
def test_any_json_gives_rows_or_complaints_that_name_their_place(items: list[Any], coerce: bool) -> None:
    before = copy.deepcopy(items)
    refusal = None
    try:
        rows = SIGNATURE.rows(items, coerce=coerce)
    except InvalidInput as error:
        refusal = error
    if refusal:
        assert all(one.row in range(len(items)) and len(one.got) <= 100 for one in refusal.complaints)
        json.dumps(refusal.details)
    else:
        assert len(rows) == len(items)
        assert all(list(row) == [feature.name for feature in FEATURES] for row in rows)
        assert all(fits(row[feature.name], feature) for row in rows for feature in FEATURES)
    assert repr(items) == repr(before)


@repeatable
@given(some.lists(FITTING_ROWS, min_size=1, max_size=4))
def test_what_fits_is_accepted_once_and_for_all(items: list[dict[str, Any]]) -> None:
    rows = SIGNATURE.rows(items)
    assert SIGNATURE.rows(rows) == rows
    for row, item in zip(rows, items, strict=True):
        assert all(row[name] == value or (value == "" and row[name] is None) for name, value in item.items())


@repeatable
@given(some.lists(FITTING_ROWS, min_size=1, max_size=4))
def test_columns_hold_one_cell_a_row(items: list[dict[str, Any]]) -> None:
    rows = SIGNATURE.rows(items)
    columns = SIGNATURE.columns(rows)
    assert list(columns) == [feature.name for feature in FEATURES]
    for feature in FEATURES:
        column = columns[feature.name]
        assert column.shape == (len(rows),)
        assert column.dtype == (object if feature.type == "string" else "float64")
        for cell, row in zip(column.tolist(), rows, strict=True):
            value = row[feature.name]
            if value is None:
                assert cell == "" or math.isnan(cell)
            else:
                assert cell == value
