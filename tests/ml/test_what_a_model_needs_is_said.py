"""What an upload lacks is said in the words of what to do; what the model knows of itself need not be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.tree import DecisionTreeClassifier
from small_models import small_frame, small_tree

from ml_pipeline.apps.ml.registration import interface, tables
from ml_pipeline.apps.ml.registration.materials import Material
from ml_pipeline.apps.ml.registration.submission import FileGiven, checked_metadata
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact

FRAME = small_frame()
TREE = small_tree(FRAME)


def table(folder: Path, frame: pd.DataFrame) -> Table:
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    return tables.read(FileGiven(str(path), "csv"), "sample")


def signature(pipeline: Any, known: Table, **about: Any) -> Signature:
    return interface.signature(about, Material({}, None, {}, "", pipeline=pipeline), [known])


@pytest.mark.parametrize("task", ["ranking", "", "Classification"])
def test_a_task_is_one_of_two(task: str) -> None:
    assert checked_metadata({"task": "regression"})
    with pytest.raises(InvalidArtifact, match="`task` in the metadata is classification or regression"):
        checked_metadata({"task": task})


@pytest.mark.parametrize("left_out", [{"labels"}, {"task"}, {"labels", "task"}])
def test_a_declared_signature_has_its_labels_from_the_model(tmp_path: Path, left_out: set[str]) -> None:
    features = [{"name": name, "type": "number"} for name in FRAME]
    declared = {"features": features, "task": "classification", "labels": ["minus", "plus"]}
    given = {name: value for name, value in declared.items() if name not in left_out}
    rows = table(tmp_path, FRAME)
    assert signature(TREE, rows, signature=given) == Signature.from_json(declared)
    assert signature(TREE, rows, signature=given, labels=["-", "+"]).labels == ("-", "+")


@pytest.mark.parametrize("declared", [7, [], "text", {"task": "classification"}, {"features": 3}])
def test_what_is_declared_and_no_signature_is_refused(tmp_path: Path, declared: Any) -> None:
    with pytest.raises(InvalidArtifact):
        signature(TREE, table(tmp_path, FRAME), signature=declared)


TEXTS = pd.DataFrame({"text": ["good one", "bad thing", "very good", "so bad"], "mood": ["up", "down"] * 2})


@pytest.mark.parametrize("words", [TfidfVectorizer(), make_union(CountVectorizer(), TfidfVectorizer())])
def test_a_label_among_the_texts_is_asked_for(tmp_path: Path, words: Any) -> None:
    pipeline = make_pipeline(words, LogisticRegression()).fit(TEXTS["text"], TEXTS["mood"])
    rows = table(tmp_path, TEXTS)
    with pytest.raises(InvalidArtifact, match=r"takes 1 feature and .* 2 columns; .* name it as label_column"):
        signature(pipeline, rows)
    assert [one.name for one in signature(pipeline, rows, label_column="mood").features] == ["text"]


def test_several_classifiers_in_one_are_named_so(tmp_path: Path) -> None:
    answers = np.column_stack([FRAME.x > 0, FRAME.y > 0])
    with pytest.raises(InvalidArtifact, match=r"2 classifiers in one.* register a model for each"):
        signature(DecisionTreeClassifier().fit(FRAME, answers), table(tmp_path, FRAME))


def test_words_for_missing_are_no_truth(tmp_path: Path) -> None:
    rows = table(tmp_path, FRAME.assign(truth=["plus", "NaN", "", "minus"] * 10))
    material = Material({}, None, {}, "", pipeline=TREE)
    found = interface.truths(rows, {"label_column": "truth"}, signature(TREE, rows), material)
    assert found == ["plus", None, None, "minus"] * 10
    # Where a label is called so, it is the label.
    named = Signature(signature(TREE, rows).features, "classification", ("NaN", "plus", "minus"))
    assert interface.truths(rows, {"label_column": "truth"}, named, Material({}, None, {}, "")) == [
        *["plus", "NaN", None, "minus"] * 10
    ]
