"""What a feature is called and what a model predicts survive compiling: hyphens, regression, many classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from people import as_rows
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from small_models import bundle_of, examined, signature_of

from ml_pipeline.apps.ml import compile, loader
from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction

RANDOM = np.random.default_rng(0)
ROWS = 300


def registered(folder: Path, pipeline: Any, frame: pd.DataFrame) -> Algorithm:
    """The algorithm as it serves: compiled, with the proof."""
    bundle, record = examined(folder / "work", bundle_of(folder / "source", pipeline, frame))
    assert record.runtime == "onnx", record.runtime_reason
    assert record.parity is not None
    assert record.parity["holds"]
    assert record.parity["rows"] == 2_000
    return loader.load_onnx(bundle)


def answers(algorithm: Algorithm, frame: pd.DataFrame) -> list[Prediction]:
    return algorithm.compute_prediction(algorithm.signature.rows(as_rows(frame)))


@pytest.mark.parametrize(
    "names",
    [
        ("hours-per-week", "education-num", "native-country"),
        ("a-b", "a_b", "a.b"),
        ("a b", "ab", "a  b"),
        ("größe", "1st", "?"),
        ("input", "X", "variable"),
        ("float_input", "label", "probabilities"),
    ],
)
def test_a_feature_may_be_called_anything(tmp_path: Path, names: tuple[str, str, str]) -> None:
    one, two, text = names
    frame = pd.DataFrame(
        {one: RANDOM.integers(0, 99, ROWS), text: RANDOM.choice(["x", "y"], ROWS), two: RANDOM.integers(0, 99, ROWS)}
    )
    labels = frame[one] - 2 * frame[two] + 30 * (frame[text] == "x") > -30
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", [two, one]), ("texts", encoder, [text])])
    pipeline = Pipeline([("columns", columns), ("tree", DecisionTreeClassifier(random_state=0))]).fit(frame, labels)
    algorithm = registered(tmp_path, pipeline, frame)
    assert [one.label for one in answers(algorithm, frame)] == [str(label) for label in pipeline.predict(frame)]


def test_a_feature_that_the_model_ignores_stays_in_its_signature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"unused": ["a", "b"] * 20, "x": np.arange(40.0), "also-unused": range(40)})
    columns = ColumnTransformer([("it", "passthrough", ["x"])])
    pipeline = Pipeline([("columns", columns), ("tree", DecisionTreeClassifier(max_depth=2))]).fit(frame, frame.x > 11)
    algorithm = registered(tmp_path, pipeline, frame)
    row = {"unused": "never seen", "x": 12, "also-unused": -5}
    assert algorithm.compute_prediction(algorithm.signature.rows([row]))[0].label == "True"


def test_truth_values_are_features(tmp_path: Path) -> None:
    frame = pd.DataFrame({"flag": RANDOM.random(ROWS) < 0.5, "x": RANDOM.random(ROWS)})
    tree = DecisionTreeClassifier(max_depth=3).fit(frame, frame.flag ^ (frame.x > 0.5))
    algorithm = registered(tmp_path, tree, frame)
    assert [feature.type for feature in algorithm.signature.features] == ["boolean", "number"]
    assert [one.label for one in answers(algorithm, frame)] == [str(label) for label in tree.predict(frame)]


@pytest.mark.parametrize(
    "pipeline",
    [
        DecisionTreeRegressor(max_depth=4, random_state=0),
        RandomForestRegressor(10, random_state=0),
        make_pipeline(SimpleImputer(), DecisionTreeRegressor(max_depth=4, random_state=0)),
    ],
    ids=["tree", "forest", "pipeline"],
)
def test_a_regression_gives_values(tmp_path: Path, pipeline: Any) -> None:
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    algorithm = registered(tmp_path, pipeline.fit(frame, target), frame)
    predictions = answers(algorithm, frame)
    np.testing.assert_allclose([one.value for one in predictions], pipeline.predict(frame), rtol=1e-5)
    assert all((one.label, one.probability, one.probabilities) == (None, None, None) for one in predictions)
    assert answers(algorithm, frame[:1]) == predictions[:1]


@pytest.mark.parametrize(
    "pipeline",
    [RandomForestClassifier(16, random_state=0), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["forest", "logistic regression"],
)
def test_many_classes_give_the_probability_of_the_predicted_one(tmp_path: Path, pipeline: Any) -> None:
    frame, target = load_iris(return_X_y=True, as_frame=True)
    kinds = target.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    algorithm = registered(tmp_path, pipeline.fit(frame, kinds), frame)
    predictions = answers(algorithm, frame)
    assert algorithm.signature.labels == ("setosa", "versicolor", "virginica")
    assert [one.label for one in predictions] == pipeline.predict(frame).tolist()
    probabilities = pipeline.predict_proba(frame)
    np.testing.assert_allclose([one.probabilities for one in predictions], probabilities, atol=1e-5)
    np.testing.assert_allclose([one.probability for one in predictions], probabilities.max(axis=1), atol=1e-5)


def test_what_was_compiled_before_does_not_move_a_byte() -> None:
    frame, target = load_iris(return_X_y=True, as_frame=True)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(frame, target)
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    first = compile.compiled(tree, signature_of(tree, frame))
    compile.compiled(scaled, signature_of(scaled, frame))
    assert compile.compiled(tree, signature_of(tree, frame)) == first
    domains = [one.domain for one in onnx.load_from_string(first).opset_import]
    assert domains == sorted(domains)
