"""Whatever a column holds, the reference profile counts each of its rows once, then and later."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from homes import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as some
from people import as_rows

from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.ml.signature import Columns, Feature, FeatureType, Signature, inferred_feature

OUTSIDE = {"numeric": ["null", "below", "above"], "categorical": ["null", "other"]}
repeatable = settings(derandomize=True, deadline=None, max_examples=200)


def profile_of(column: Any, kind: FeatureType = "number") -> dict[str, Any]:
    """The part of a profile for one column, through its JSON."""
    signature = Signature((Feature("one", kind, nullable=True),), "regression")
    array = np.array(column, dtype=object if kind == "string" else np.float64)
    predictions = [Prediction(None, None, None, 0.0)] * len(array)
    document = profile.profiled(signature, {"one": array}, predictions, None)
    document = json.loads(json.dumps(document, allow_nan=False))
    part: dict[str, Any] = document["features"][0]
    assert total(part) == document["rows"] == len(array)
    assert part == {**part, **profile.counted(part, array)}
    return part


def total(part: dict[str, Any]) -> int:
    return sum(part["counts"]) + sum(part[name] for name in OUTSIDE[part["kind"]])


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(REPOSITORY / "research" / "data" / "adult_train.csv.gz").drop(columns="income")


@pytest.fixture(scope="module")
def adult(people: pd.DataFrame) -> tuple[dict[str, Any], Columns]:
    rows = as_rows(people)
    features = tuple(inferred_feature(name, [row[name] for row in rows], nullable=True) for name in people)
    signature = Signature(features, "regression")
    columns = signature.columns(rows)
    predictions = [Prediction(None, None, None, float(row["age"])) for row in rows]
    return profile.profiled(signature, columns, predictions, None), columns


def test_it_survives_its_json_and_counts_again_as_before(adult: tuple[dict[str, Any], Columns]) -> None:
    document, columns = adult
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert again["format"] == 1
    assert again["rows"] == 32_561
    assert [part["name"] for part in again["features"]] == list(columns)
    for part in again["features"]:
        assert total(part) == 32_561
        assert part == {**part, **profile.counted(part, columns[part["name"]])}


def test_counts_of_numbers_are_those_of_pandas(adult: tuple[dict[str, Any], Columns], people: pd.DataFrame) -> None:
    numeric = [part for part in adult[0]["features"] if part["kind"] == "numeric"]
    assert [part["name"] for part in numeric] == list(people.select_dtypes("number"))
    for part in numeric:
        cut = pd.cut(people[part["name"]], [part["low"] - 1, *part["edges"]], right=True)
        assert part["counts"] == cut.value_counts(sort=False).tolist()
        assert 1 <= len(part["edges"]) <= 10
        assert (part["low"], part["edges"][-1]) == (people[part["name"]].min(), people[part["name"]].max())
        assert (part["null"], part["below"], part["above"]) == (0, 0, 0)


def test_edges_without_ties_are_the_deciles_of_pandas() -> None:
    column = pd.Series(np.random.default_rng(0).normal(size=10_007))
    part = profile_of(column)
    deciles = column.quantile([tenth / 10 for tenth in range(1, 11)], interpolation="higher").tolist()
    assert part["edges"] == pytest.approx(deciles, abs=1e-3)
    assert set(part["counts"]) <= {1000, 1001}
    assert set(part["edges"]) <= set(column)


def test_counts_of_categories_are_those_of_pandas(adult: tuple[dict[str, Any], Columns], people: pd.DataFrame) -> None:
    categorical = [part for part in adult[0]["features"] if part["kind"] == "categorical"]
    assert len(categorical) == 8
    for part in categorical:
        known = people[part["name"]].value_counts()
        kept = known[known >= len(people) * 0.005]
        assert dict(zip(part["categories"], part["counts"], strict=True)) == kept.to_dict()
        assert part["counts"] == sorted(part["counts"], reverse=True)
        assert part["other"] == known.sum() - kept.sum()
        assert part["null"] == people[part["name"]].isna().sum()
    assert any(part["other"] for part in categorical)
    assert any(part["null"] for part in categorical)


def test_a_category_needs_half_a_percent_of_the_rows() -> None:
    part = profile_of(["a"] * 985 + ["b"] * 5 + ["c"] * 4 + ["d"] * 5 + [""], "string")
    assert part["categories"] == ["a", "b", "d"]
    assert part["counts"] == [985, 5, 5]
    assert (part["other"], part["null"]) == (4, 1)
    later = profile.counted(part, np.array(["a", "A", "", "c", "new", "b", "a"], dtype=object))
    assert later == {"counts": [2, 1, 0], "null": 1, "other": 3}


def test_a_bin_ends_with_its_edge() -> None:
    part = profile_of([float(number) for number in range(1, 101)])
    assert part["low"] == 1
    assert part["edges"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert part["counts"] == [10] * 10
    some_values = np.array([0.9, 1, 10, 10.1, 20, 100, 100.1, math.inf, -math.inf, math.nan])
    assert bins.placed(part, some_values).tolist() == [11, 0, 0, 1, 1, 9, 12, 12, 11, 10]
    assert profile.counted(part, some_values) == {
        "counts": [2, 2, 0, 0, 0, 0, 0, 0, 0, 1],
        "null": 1,
        "below": 2,
        "above": 2,
    }


def test_where_most_values_are_one_it_has_a_bin_of_its_own(adult: tuple[dict[str, Any], Columns]) -> None:
    gain = next(part for part in adult[0]["features"] if part["name"] == "capital-gain")
    assert gain["edges"] == [0, 99_999]
    assert gain["counts"][0] == 29_849
    rare = profile_of([0.0] * 3 + [1.0] * 97)
    assert rare["edges"] == [0, 1]
    assert rare["counts"] == [3, 97]


def test_columns_of_one_value_or_none_are_counted() -> None:
    constant = profile_of([7.0] * 30 + [math.nan] * 3)
    assert (constant["low"], constant["edges"], constant["counts"], constant["null"]) == (7, [7], [30], 3)
    later = profile.counted(constant, np.array([6.9, 7.0, 7.1]))
    assert later == {"counts": [1], "null": 0, "below": 1, "above": 1}
    empty = profile_of([math.nan] * 5)
    assert (empty["low"], empty["edges"], empty["counts"], empty["null"]) == (None, [], [], 5)
    later = profile.counted(empty, np.array([-1.0, math.nan, 5.0]))
    assert later == {"counts": [], "null": 1, "below": 0, "above": 2}
    blank = profile_of(["", ""], "string")
    assert (blank["categories"], blank["counts"], blank["null"], blank["other"]) == ([], [], 2, 0)


def test_booleans_are_categories() -> None:
    part = profile_of([1.0, 0.0, 1.0, math.nan, 1.0], "boolean")
    assert part["kind"] == "categorical"
    assert (part["categories"], part["counts"], part["null"], part["other"]) == (["true", "false"], [3, 1], 1, 0)
    assert profile.counted(part, np.array([0.0, 0.0, 1.0, math.nan]))["counts"] == [1, 2]


def test_integers_are_numbers() -> None:
    assert profile_of([1.0, 2.0, 2.0**53], "integer")["edges"] == [1, 2, 2**53]


@repeatable
@given(some.lists(some.floats(), max_size=60), some.lists(some.floats(), max_size=60))
def test_any_numbers_are_counted_without_loss(reference: list[float], later: list[float]) -> None:
    part = profile_of(reference)
    finite = [number for number in reference if math.isfinite(number)]
    assert part["null"] == sum(map(math.isnan, reference))
    assert sum(part["counts"]) == len(finite)
    assert all(part["counts"])
    assert len(part["edges"]) <= 10
    assert part["edges"] == sorted(set(part["edges"]))
    found = profile.counted(part, np.array(later, dtype=np.float64))
    assert total({"kind": "numeric", **found}) == len(later)
    assert found["null"] == sum(map(math.isnan, later))
    if finite:
        assert found["below"] == sum(number < min(finite) for number in later)
        assert found["above"] == sum(number > max(finite) for number in later)


@repeatable
@given(some.lists(some.floats(), max_size=60), some.integers(0, 60))
def test_counts_of_parts_add_up(column: list[float], cut: int) -> None:
    part = profile_of(column)
    whole, first, second = (
        profile.counted(part, np.array(cells, dtype=np.float64)) for cells in (column, column[:cut], column[cut:])
    )
    for name in OUTSIDE["numeric"]:
        assert whole[name] == first[name] + second[name]
    assert whole["counts"] == [one + other for one, other in zip(first["counts"], second["counts"], strict=True)]


@repeatable
@given(some.lists(some.text(max_size=2), max_size=40), some.lists(some.text(max_size=2), max_size=40))
def test_any_strings_are_counted_without_loss(reference: list[str], later: list[str]) -> None:
    part = profile_of(reference, "string")
    found = profile.counted(part, np.array(later, dtype=object))
    assert total({"kind": "categorical", **found}) == len(later)
    assert found["null"] == later.count("")
    assert found["counts"] == [later.count(category) for category in part["categories"]]
