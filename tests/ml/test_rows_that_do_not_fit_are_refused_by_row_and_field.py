"""A signature says exactly which row and field is wrong, what was expected and what came; and lets pass what fits."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from ml_pipeline.apps.ml.signature import MAX_COMPLAINTS, Feature, Signature
from ml_pipeline.errors import InvalidInput

SIGNATURE = Signature(
    (
        Feature("age", "integer"),
        Feature("hours-per-week", "number"),
        Feature("sex", "string", categories=("Female", "Male")),
        Feature("member", "boolean"),
        Feature("children", "integer", nullable=True),
        Feature("gain", "number", nullable=True),
        Feature("country", "string", nullable=True),
        Feature("married", "boolean", nullable=True),
    ),
    "classification",
    ("no", "yes"),
)
NEEDED = {"age": 39, "hours-per-week": 40.5, "sex": "Male", "member": True}
MISSING = {"children": None, "gain": None, "country": None, "married": None}


def accepted(**changes: Any) -> dict[str, Any]:
    (row,) = SIGNATURE.rows([{**NEEDED, **changes}])
    return row


def complaints(*rows: Any) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(InvalidInput) as refusal:
        SIGNATURE.rows(rows)
    return [(one.row, one.field, one.got) for one in refusal.value.complaints]


def test_a_row_comes_back_complete_and_in_order() -> None:
    shuffled = dict(reversed(NEEDED.items()))
    (row,) = SIGNATURE.rows([shuffled])
    assert list(row.items()) == list({**NEEDED, **MISSING}.items())


@pytest.mark.parametrize("field", NEEDED)
def test_what_is_not_nullable_must_be_there(field: str) -> None:
    without = {name: value for name, value in NEEDED.items() if name != field}
    assert complaints(without) == [(0, field, "nothing")]
    assert complaints({**NEEDED, field: None}) == [(0, field, "null")]


@pytest.mark.parametrize("field", MISSING)
def test_what_is_nullable_may_be_null_or_absent(field: str) -> None:
    assert accepted(**{field: None}) == accepted()
    assert accepted()[field] is None


def test_an_empty_string_is_missing_only_where_a_string_may_be() -> None:
    assert accepted(country="")["country"] is None
    assert accepted(sex="")["sex"] == ""
    assert complaints({**NEEDED, "children": ""}) == [(0, "children", '""')]
    assert complaints({**NEEDED, "married": ""}) == [(0, "married", '""')]


def test_every_complaint_names_its_row_and_field() -> None:
    found = complaints(NEEDED, {**NEEDED, "age": "old", "sex": 3}, 7, {**NEEDED, "agee": 39}, [NEEDED])
    assert found == [
        (1, "age", '"old"'),
        (1, "sex", "3"),
        (2, None, "7"),
        (3, "agee", "an unknown name"),
        (4, None, found[-1][2]),
    ]


def test_the_message_is_about_the_first_and_counts_the_others() -> None:
    with pytest.raises(InvalidInput) as refusal:
        SIGNATURE.rows([NEEDED, {**NEEDED, "age": "old", "sex": 3}])
    assert refusal.value.message.startswith("row 1, field 'age': expected an integer")
    assert refusal.value.message.endswith('got "old" (and 1 more)')


@pytest.mark.parametrize("item", [{}, [], None, "age", 39, True])
def test_only_an_object_with_features_is_a_row(item: Any) -> None:
    assert [(row, field) for row, field, _ in complaints(item)] == [(0, None)]


def test_a_row_of_nothing_but_nulls_is_a_row_where_all_is_nullable() -> None:
    optional = Signature((Feature("a", "number", nullable=True), Feature("b", "string", nullable=True)), "regression")
    assert optional.rows([{"a": None}]) == [{"a": None, "b": None}]
    with pytest.raises(InvalidInput):
        optional.rows([{}])


@pytest.mark.parametrize("value", [39, 39.0, -39.0, 0, -0.0, 1e3, 2**53, -(2**53), float(2**53)])
def test_an_integer_may_come_as_a_float_without_a_fraction(value: float) -> None:
    stored = accepted(age=value)["age"]
    assert stored == value
    assert type(stored) is int


@pytest.mark.parametrize("value", [39.5, 1e-9, 2**53 + 1, -(2**53) - 1, 2.0**54, 10**300, math.nan, math.inf])
def test_what_is_no_exact_integer_is_refused(value: float) -> None:
    assert [(row, field) for row, field, _ in complaints({**NEEDED, "age": value})] == [(0, "age")]


@pytest.mark.parametrize("value", [0, 39, -1.5, 5e-324, 3.4028234663852886e38, -3.4028234663852886e38, 10**38])
def test_a_number_fits_as_far_as_a_compiled_model_can_see(value: float) -> None:
    stored = accepted(**{"hours-per-week": value})["hours-per-week"]
    assert stored == float(value)
    assert type(stored) is float


@pytest.mark.parametrize("value", [1e39, -1e39, 3.41e38, 10**39, 10**400, math.nan, math.inf, -math.inf])
def test_a_number_beyond_float32_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="hours-per-week"):
        SIGNATURE.rows([{**NEEDED, "hours-per-week": value}])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, flag) for field in ("age", "hours-per-week", "sex") for flag in (True, False)],
        *[("member", value) for value in (0, 1, 1.0, "true", "")],
        *[("age", value) for value in ("39", [39], {"age": 39})],
        *[("sex", value) for value in (1, 1.5, ["Male"], {})],
    ],
)
def test_one_type_is_not_taken_for_another(field: str, value: Any) -> None:
    assert [(row, name) for row, name, _ in complaints({**NEEDED, field: value})] == [(0, field)]


def test_categories_never_seen_are_values_like_others() -> None:
    assert accepted(sex="ünknown 🦄")["sex"] == "ünknown 🦄"


CLOSED = Signature(
    (
        Feature("city", "string", nullable=True, categories=("Lima", "Oslo"), is_closed=True),
        Feature("class", "integer", categories=("1", "2", "3"), is_closed=True),
    ),
    "regression",
)


def test_of_a_closed_feature_only_its_categories_are_values() -> None:
    assert CLOSED.rows([{"city": "Oslo", "class": 3.0}, {"class": 1}]) == [
        {"city": "Oslo", "class": 3},
        {"city": None, "class": 1},
    ]
    with pytest.raises(InvalidInput) as refusal:
        CLOSED.rows([{"city": "Oslo", "class": 2}, {"city": "oslo", "class": 4}])
    assert [(one.row, one.field, one.expected, one.got) for one in refusal.value.complaints] == [
        (1, "city", 'one of "Lima", "Oslo"', '"oslo"'),
        (1, "class", 'one of "1", "2", "3"', "4"),
    ]
    assert CLOSED.rows([{"city": "Lima", "class": "2"}], coerce=True)[0]["class"] == 2


def test_what_is_expected_of_a_closed_feature_stays_short() -> None:
    many = tuple(f"{number:06}" * 1_000 for number in range(5_000))
    signature = Signature((Feature("code", "string", categories=many, is_closed=True),), "regression")
    with pytest.raises(InvalidInput) as refusal:
        signature.rows([{"code": "x"}])
    (complaint,) = refusal.value.complaints
    assert complaint.expected.endswith('…" and 4,990 more')
    assert len(complaint.expected) < 500


def test_rows_are_not_changed() -> None:
    rows = [{**NEEDED, "age": 39.0, "country": ""}, {**NEEDED, "hours-per-week": 40}]
    before = copy.deepcopy(rows)
    SIGNATURE.rows(rows)
    assert rows == before
    assert type(rows[0]["age"]) is float


def test_complaints_end_at_a_hundred_and_stay_short() -> None:
    million_names = dict.fromkeys(map(str, range(200_000)), 1)
    for rows in ([million_names], [{}] * 10_000, [{"age": "x" * 10_000, "n" * 10_000: 1}] * 60):
        found = complaints(*rows)
        assert len(found) == MAX_COMPLAINTS
        assert all(len(str(field)) <= 100 and len(got) <= 100 for _, field, got in found)


def test_no_rows_are_no_error() -> None:
    assert SIGNATURE.rows([]) == []
