"""A signature is written as JSON and read back the same; what is none is refused as an artifact that is not valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.apps.ml.signature import Feature, Signature, inferred_feature
from ml_pipeline.errors import InvalidArtifact

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
FEATURES = some.lists(
    some.builds(
        Feature,
        TEXT,
        some.sampled_from(["integer", "number", "string", "boolean"]),
        some.booleans(),
        some.lists(TEXT, max_size=3).map(tuple),
    )
    | some.builds(
        Feature,
        TEXT,
        some.sampled_from(["integer", "string"]),
        some.booleans(),
        some.lists(TEXT, min_size=1, max_size=3).map(tuple),
        some.just(True),
    )
    | some.builds(
        Feature,
        TEXT,
        some.sampled_from(["integer", "number"]),
        bounds=some.tuples(some.floats(-1e9, 0), some.floats(0, 1e9)),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda feature: feature.name,
).map(tuple)
LABELS = some.lists(TEXT, min_size=2, max_size=4, unique=True).map(tuple)
SIGNATURES = some.builds(Signature, FEATURES, some.just("classification"), LABELS) | some.builds(
    Signature, FEATURES, some.just("regression")
)

GOOD: dict[str, Any] = {
    "features": [{"name": "a", "type": "number", "nullable": True, "categories": []}],
    "task": "classification",
    "labels": ["no", "yes"],
}


@settings(derandomize=True, deadline=None, max_examples=100)
@given(SIGNATURES)
def test_it_is_read_back_as_it_was_written(signature: Signature) -> None:
    document = json.loads(json.dumps(signature.to_json()))
    assert Signature.from_json(document) == signature
    assert Signature.from_json(document).to_json() == signature.to_json()


def test_nullable_and_categories_may_be_left_out() -> None:
    signature = Signature.from_json({"features": [{"name": "a", "type": "string"}], "task": "regression"})
    assert signature == Signature((Feature("a", "string", nullable=False, categories=()),), "regression")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "signature",
        7,
        {},
        {**GOOD, "features": None},
        {**GOOD, "features": []},
        {**GOOD, "features": [None]},
        {**GOOD, "features": ["a"]},
        {**GOOD, "features": {"a": "number"}},
        {**GOOD, "features": [{"type": "number"}]},
        {**GOOD, "features": [{"name": "a"}]},
        {**GOOD, "features": [{"name": "a", "type": "float"}]},
        {**GOOD, "features": [{"name": "a", "type": ["number"]}]},
        {**GOOD, "features": [{"name": "a", "type": "string", "categories": None}]},
        {**GOOD, "features": GOOD["features"] * 2},
        {**GOOD, "features": [{"name": "a", "type": "string", "closed": True}]},
        {**GOOD, "features": [{"name": "a", "type": "number", "categories": ["1"], "closed": True}]},
        {**GOOD, "task": "clustering"},
        {**GOOD, "task": None},
        {**GOOD, "task": ["classification"]},
        {**GOOD, "labels": ["only one"]},
        {**GOOD, "labels": ["same", "same"]},
        {**GOOD, "labels": None},
        {**GOOD, "labels": []},
        {**GOOD, "task": "regression"},
        {"features": GOOD["features"], "labels": GOOD["labels"]},
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_what_is_no_signature_is_refused(document: Any) -> None:
    assert Signature.from_json(GOOD).labels == ("no", "yes")
    with pytest.raises(InvalidArtifact):
        Signature.from_json(document)


@pytest.mark.parametrize(
    ("cells", "feature"),
    [
        ([1, 2, 3], Feature("x", "integer")),
        ([1, None, 3], Feature("x", "integer", nullable=True)),
        ([1, 2.5], Feature("x", "number")),
        ([True, False], Feature("x", "boolean")),
        (["b", "a", "b"], Feature("x", "string", categories=("a", "b"))),
        (["b", None], Feature("x", "string", nullable=True, categories=("b",))),
        ([None], Feature("x", "number", nullable=True)),
        ([str(number) for number in range(201)], Feature("x", "string")),
    ],
)
def test_a_feature_is_inferred_from_its_cells(cells: list[Any], feature: Feature) -> None:
    assert inferred_feature("x", cells) == feature


@pytest.mark.parametrize("cells", [["a", 1], [True, "a"], [1, True], [[1]]])
def test_cells_of_two_kinds_are_no_feature(cells: list[Any]) -> None:
    with pytest.raises(InvalidArtifact, match="'x'"):
        inferred_feature("x", cells)


@pytest.mark.parametrize("character", ["\x00", "\ud800"])
def test_what_no_request_may_contain_is_named(character: str) -> None:
    strange = f"a{character}b"
    with pytest.raises(InvalidArtifact, match=r"The label contains NUL or a lone surrogate.*a.*b"):
        Signature.from_json({**GOOD, "labels": ["no", strange]})
    with pytest.raises(InvalidArtifact, match="The feature contains NUL"):
        Signature.from_json({**GOOD, "features": [{"name": strange, "type": "number"}]})
    with pytest.raises(InvalidArtifact, match="The category of the feature 'city' contains NUL"):
        Signature.from_json({**GOOD, "features": [{"name": "city", "type": "string", "categories": [strange]}]})
