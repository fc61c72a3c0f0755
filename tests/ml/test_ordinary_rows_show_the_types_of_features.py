"""What type a feature is of, the rows of sample and reference say together, whichever format each came in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml.registration import encoders, interface, tables
from ml_pipeline.apps.ml.registration.materials import Material
from ml_pipeline.apps.ml.registration.submission import FileGiven
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidArtifact


def table(folder: Path, cells: list[Any], kind: str) -> Table:
    """One column `x`, as pandas writes it."""
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    frame = pd.DataFrame({"x": cells, "y": 1})
    if kind == "csv":
        path.write_text(frame.to_csv(index=False))
    else:
        frame.to_parquet(path, index=False)
    return tables.read(FileGiven(str(path), kind), "sample")


CASES: dict[str, tuple[list[Any], str, list[Any], str, tuple[str, bool]]] = {
    "nothing in the one, numbers in the other": ([None, None], "parquet", [1.5, 2.5], "parquet", ("number", True)),
    "nothing in the one, texts in the other": (["a", "b"], "parquet", [None, None], "parquet", ("string", True)),
    "nothing in the one, truth values in the other": ([None], "csv", [True, False], "parquet", ("boolean", True)),
    "nothing in both": ([None, None], "parquet", [None], "csv", ("number", True)),
    "digits in the one, texts in the other": (["21171", "347082"], "csv", ["A/5 3"], "csv", ("string", False)),
    "codes in the one, digits in the other": (["12345"], "csv", ["01234"], "csv", ("string", False)),
    "whole numbers in the one": ([1, 2], "csv", [1.5], "csv", ("number", False)),
    "digits as text in Parquet": (["123"], "csv", ["123", "456"], "parquet", ("string", False)),
    "whole numbers in Parquet": ([1.5], "csv", [1, 2], "parquet", ("number", False)),
    "truth values in both": (["true", "False"], "csv", [True, False], "parquet", ("boolean", False)),
    "words for missing numbers": (["NaN", "NA", 3], "csv", [4], "csv", ("integer", True)),
    "more words for missing numbers": (["null", "None", " n/a ", 3.5], "csv", ["#N/A"], "csv", ("number", True)),
    "a word for a missing truth value": (["true", "nan"], "csv", ["false"], "csv", ("boolean", True)),
    "words among words": (["NA", "NO", "SE"], "csv", ["None"], "csv", ("string", False)),
}


@pytest.mark.parametrize(("one", "its_kind", "other", "others_kind", "expected"), CASES.values(), ids=CASES)
def test_both_tables_say_it_together(
    tmp_path: Path, one: list[Any], its_kind: str, other: list[Any], others_kind: str, expected: tuple[str, bool]
) -> None:
    known = [table(tmp_path, one, its_kind), table(tmp_path, other, others_kind)]
    for order in (known, known[::-1]):
        found = tables.feature("x", order)
        assert (found.type, found.nullable) == expected
        signature = Signature((found,), "regression")
        assert [len(each.rows(signature, "sample")) for each in order] == [len(each) for each in order]


@pytest.mark.parametrize(
    ("one", "its_kind", "other", "others_kind", "reason"),
    [
        (["a"], "csv", [1, 2], "parquet", "of integer in Parquet"),
        (["a"], "parquet", [1, 2], "parquet", "mixes strings and numbers"),
        ([0, 1], "csv", [True, False], "parquet", "of boolean in Parquet"),
    ],
)
def test_what_cannot_be_one_type_is_refused(
    tmp_path: Path, one: list[Any], its_kind: str, other: list[Any], others_kind: str, reason: str
) -> None:
    known = [table(tmp_path, one, its_kind), table(tmp_path, other, others_kind)]
    with pytest.raises(InvalidArtifact, match=reason):
        tables.feature("x", known)


def test_words_for_missing_are_missing_in_the_rows(tmp_path: Path) -> None:
    given = table(tmp_path, ["NaN", "NA", 3], "csv")
    signature = Signature((Feature("x", "number", nullable=True),), "regression")
    assert [row["x"] for row in given.rows(signature, "sample")] == [None, None, 3.0]
    with pytest.raises(InvalidArtifact, match="row 0, field 'x': expected a finite number"):
        given.rows(Signature((Feature("x", "number"),), "regression"), "sample")
    words = Signature((Feature("x", "string"),), "regression")
    assert [row["x"] for row in given.rows(words, "sample")] == ["NaN", "NA", "3"]


def fitted(encoder: Any, rows: pd.DataFrame) -> Any:
    """A tree behind `encoder` of zip codes; the codes are text."""
    columns = make_column_transformer((encoder, ["zip"]), remainder="passthrough")
    return make_pipeline(columns, DecisionTreeClassifier()).fit(rows, rows.zip == "10115")


ZIPS = pd.DataFrame({"age": [30, 40, 50] * 4, "zip": ["10115", "20095", "80331"] * 4})
ENCODERS = {
    "one hot": OneHotEncoder(),
    "ordinal": OrdinalEncoder(),
    "target": TargetEncoder(cv=2),
    "behind an imputer": make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_digits_that_the_encoder_knows_as_text_are_text(tmp_path: Path, encoder: Any) -> None:
    model = fitted(encoder, ZIPS)
    assert encoders.known_values(model, ["age", "zip"]) == {"zip": frozenset(ZIPS.zip)}
    path = tmp_path / "rows.csv"
    ZIPS.to_csv(path, index=False)
    known = [tables.read(FileGiven(str(path), "csv"), "sample")]
    found = interface.signature({}, Material({}, None, {}, "", pipeline=model), known)
    assert [one.type for one in found.features] == ["integer", "string"]
    numbers = tmp_path / "rows.parquet"
    ZIPS.astype({"zip": int}).to_parquet(numbers)
    with pytest.raises(InvalidArtifact, match="'zip' is of no text in Parquet"):
        interface.signature(
            {}, Material({}, None, {}, "", pipeline=model), [tables.read(FileGiven(str(numbers), "parquet"), "sample")]
        )


def test_an_encoder_is_found_wherever_a_column_is_named_by_place_mask_or_slice() -> None:
    names, texts = ["age", "zip"], frozenset(ZIPS.zip)
    for columns in ([1], slice(1, 2), [False, True], np.array([1]), ["zip"], slice(-1, None), lambda frame: ["zip"]):
        model = make_column_transformer((OneHotEncoder(), columns)).fit(ZIPS)
        assert encoders.known_values(model, names) == {"zip": texts}
    matrix = make_column_transformer((OrdinalEncoder(), [1])).fit(ZIPS.to_numpy(dtype=object))
    assert encoders.known_values(matrix, names) == {"zip": texts}
    assert encoders.known_values(OrdinalEncoder().fit(ZIPS[["zip"]]), ["zip"]) == {"zip": texts}
    for nothing in (None, object(), DecisionTreeClassifier(), OneHotEncoder()):
        assert encoders.known_values(nothing, names) == {}


def test_a_reference_is_known_by_all_its_rows_and_not_by_those_picked(tmp_path: Path) -> None:
    rows = [*range(1_000)]
    first, again = (table(tmp_path, rows, "csv") for _ in range(2))
    assert first.sampled(10).content == again.content
    other = table(tmp_path, [*rows[:-1], 5_000], "csv")
    assert other.content != first.content
