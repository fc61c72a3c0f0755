"""Whatever a signature may hold, its bodies can be decoded: at once or, where that cannot be, by the strict parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.apps.ml.decoding import RowDecoder
from ml_pipeline.apps.ml.signature import Feature, Signature


def decoded(feature: Feature, value: Any) -> list[tuple[Any, ...]] | None:
    body = json.dumps({feature.name: value}, ensure_ascii=False).encode()
    found = RowDecoder(Signature((feature,), "regression")).decode(body)
    return None if found is None else list(found.rows.cells)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\t", '5"', "C:\\temp"])
def test_a_name_that_json_spells_with_a_backslash_is_left_to_the_strict_parser(name: str) -> None:
    assert decoded(Feature(name, "number"), 1.5) is None


@pytest.mark.parametrize("bounds", [(1e300, 1e301), (-1e301, -1e300), (1e19, 1e20), (-1e20, -1e19)])
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_bounds_that_no_value_reaches_let_none_pass(kind: Any, bounds: tuple[float, float]) -> None:
    assert decoded(Feature("x", kind, bounds=bounds), 1) is None


@pytest.mark.parametrize(
    "category", ["--5", "9" * 30, "-" + "9" * 30, "9223372036854775808", "9" * 5_000, "-", "x", ""]
)
def test_a_category_that_is_no_integer_is_nothing_that_a_row_can_have(category: str) -> None:
    feature = Feature("x", "integer", categories=(category, "7"), is_closed=True)
    assert decoded(feature, 5) is None
    assert decoded(feature, 7) in (None, [(7,)])


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    some.lists(
        some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1, unique=True
    ),
    some.booleans(),
)
def test_any_names_and_categories_will_do(texts: list[str], nullable: bool) -> None:
    features = [Feature(f"{text}{kind}", kind, nullable) for text in texts[:3] for kind in ("number", "string")]
    features.append(Feature("closed text", "string", nullable, tuple(texts), is_closed=True))
    features.append(Feature("closed integer", "integer", nullable, tuple(texts), is_closed=True))
    RowDecoder(Signature(tuple(features), "regression"))
