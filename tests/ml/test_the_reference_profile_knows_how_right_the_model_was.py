"""Scores, labels, metrics and the calibrator of the reference profile are those of scikit-learn."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from homes import REPOSITORY
from people import as_rows
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.apps.ml.signature import Feature, Signature, inferred_feature
from ml_pipeline.errors import InvalidArtifact

LABELS = ("<=50K", ">50K")
NUMBER = (Feature("x", "number"),)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def classified(probabilities: Any, labels: tuple[str, ...]) -> list[Prediction]:
    """What an algorithm answers for these probabilities, of shape (n, labels)."""
    return Algorithm(Signature(NUMBER, "classification", labels), None).postprocess(np.asarray(probabilities))


def profile_of(probabilities: Any, labels: tuple[str, ...], truths: Any) -> dict[str, Any]:
    signature = Signature(NUMBER, "classification", labels)
    predictions = classified(probabilities, labels)
    document = profile.profiled(signature, {"x": np.zeros(len(predictions))}, predictions, truths)
    again: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    return again


def regressed(values: list[float], truths: Any) -> dict[str, Any]:
    predictions = [Prediction(None, None, None, value) for value in values]
    columns = {"x": np.zeros(len(values))}
    document = profile.profiled(Signature(NUMBER, "regression"), columns, predictions, truths)
    again: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return again


@pytest.fixture(scope="module")
def adult() -> tuple[dict[str, Any], list[Prediction], list[str], Signature]:
    """The profile of a tree on the held-out people, its predictions and the truth."""
    data = [pd.read_csv(REPOSITORY / "research" / "data" / f"adult_{part}.csv.gz") for part in ("train", "test")]
    (train, target), (test, truth) = ((frame.drop(columns="income"), frame["income"]) for frame in data)
    texts = [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    pipeline = make_pipeline(columns, DecisionTreeClassifier(min_samples_leaf=8, random_state=0)).fit(train, target)
    rows = as_rows(test)
    features = tuple(inferred_feature(name, [row[name] for row in rows], nullable=True) for name in test)
    signature = Signature(features, "classification", LABELS)
    predictions = Algorithm(signature, SklearnRuntime(pipeline, signature)).compute_prediction(rows)
    truths = truth.tolist()
    return profile.profiled(signature, signature.columns(rows), predictions, truths), predictions, truths, signature


def test_metrics_are_those_of_scikit_learn(adult: tuple[Any, ...]) -> None:
    document, predictions, truths, _ = adult
    said, found = [one.label for one in predictions], document["metrics"]
    positive = np.array([one.probability for one in predictions])
    true = np.array(truths) == LABELS[1]
    assert found["rows"] == 16_281
    assert found["accuracy"] == metrics.accuracy_score(truths, said) > 0.8
    assert found["log_loss"] == pytest.approx(metrics.log_loss(true, positive))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(true, positive))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(true, positive))
    for label in LABELS:
        precision = metrics.precision_score(truths, said, pos_label=label)
        recall = metrics.recall_score(truths, said, pos_label=label)
        assert found["labels"][label] == pytest.approx({"precision": precision, "recall": recall})


def test_labels_and_scores_are_counted(adult: tuple[Any, ...]) -> None:
    document, predictions, truths, signature = adult
    said = pd.Series([one.label for one in predictions]).value_counts().to_dict()
    assert document["labels"] == {"predicted": said, "true": pd.Series(truths).value_counts().to_dict()}
    scores = profile.scored(signature, predictions)
    cut = pd.cut(scores, [-1, *np.linspace(0, 1, 21)[1:]])
    assert document["scores"]["of"] == ">50K"
    assert document["scores"]["counts"] == cut.value_counts().tolist()
    assert len(document["scores"]["counts"]) == 20
    assert sum(document["scores"]["counts"]) == document["rows"]
    assert document["scores"] == {**document["scores"], **profile.counted(document["scores"], scores)}


def isotonic(confidence: Any, right: Any) -> Any:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence, right)


def test_the_calibrator_is_the_isotonic_regression(adult: tuple[Any, ...]) -> None:
    document, predictions, truths, signature = adult
    confidence = np.array([max(one.probabilities) for one in predictions])
    assert profile.confidences(signature, predictions).tolist() == confidence.tolist()
    right = np.array([one.label == truth for one, truth in zip(predictions, truths, strict=True)])
    grid = np.concatenate([np.linspace(0, 1, 5_001), confidence])
    expected = isotonic(confidence, right).predict(grid)
    found = json.loads(json.dumps(document, allow_nan=False))
    assert len(found["calibrator"]["x"]) <= 100
    assert found["calibrator"]["max_error"] < 1e-6
    assert np.abs(profile.calibrated(found, grid) - expected).max() < 1e-6
    # On the rows it was made from, the estimate of accuracy is the accuracy.
    assert profile.calibrated(found, confidence).mean() == pytest.approx(right.mean())


def test_where_a_hundred_points_are_not_enough_it_says_how_far_off_it_is() -> None:
    # Growing blocks that are right more and more often: each is a step of its own.
    confidence, right = [], []
    for block in range(150):
        confidence += [0.51 + block / 400 + place / 100_000 for place in range(150)]
        right += [False] * (150 - block) + [True] * block
    random = np.random.default_rng(0)
    places = np.concatenate([block * 150 + random.permutation(150) for block in range(150)])
    truths = np.where(np.array(right)[places], "yes", "no")
    yes = np.array(confidence)
    found = profile_of(np.column_stack([1 - yes, yes]), ("no", "yes"), truths.tolist())
    regression = isotonic(yes, truths == "yes")
    assert len(regression.X_thresholds_) > 100
    assert len(found["calibrator"]["x"]) == 100
    grid = np.concatenate([np.linspace(0, 1, 10_001), yes])
    difference = np.abs(profile.calibrated(found, grid) - regression.predict(grid)).max()
    assert 0 < difference <= found["calibrator"]["max_error"] + 1e-12
    assert found["calibrator"]["max_error"] < 0.05
    assert found["calibrator"]["y"] == sorted(found["calibrator"]["y"])


def test_many_labels_have_metrics_in_the_models_own_order() -> None:
    labels = ("2", "10", "1")
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], 300)
    places = [int(random.choice(3, p=row)) for row in probabilities]
    # Truths as tables hold them: text, integers and floats are the same labels.
    truths = [(int(labels[at]), float(labels[at]), labels[at])[row % 3] for row, at in enumerate(places)]
    found = profile_of(probabilities, labels, truths)
    assert found["metrics"]["accuracy"] == np.mean(probabilities.argmax(axis=1) == places)
    assert found["metrics"]["log_loss"] == pytest.approx(-np.log(probabilities[range(300), places]).mean())
    expected = ((probabilities - np.eye(3)[places]) ** 2).sum(axis=1).mean() / 2
    assert found["metrics"]["brier"] == pytest.approx(expected)
    assert found["metrics"]["roc_auc"] is None
    assert found["labels"]["true"] == {label: places.count(at) for at, label in enumerate(labels)}
    assert found["scores"]["of"] is None
    assert sum(found["scores"]["counts"][:6]) == (probabilities.max(axis=1) <= 0.3).sum()
    assert found["calibrator"] is not None


def test_without_truths_there_are_no_metrics() -> None:
    found = profile_of([[0.2, 0.8], [0.7, 0.3]], ("no", "yes"), None)
    assert found["labels"] == {"predicted": {"no": 1, "yes": 1}, "true": None}
    assert (found["metrics"], found["calibrator"]) == (None, None)
    with pytest.raises(ValueError, match="no calibrator"):
        profile.calibrated(found, np.array([0.5]))
    assert regressed([1.0, 2.0], None)["metrics"] is None


@pytest.mark.parametrize("missing", [None, "", math.nan])
def test_rows_whose_truth_is_not_known_do_not_count(missing: Any) -> None:
    found = profile_of([[0.2, 0.8], [0.7, 0.3], [0.4, 0.6]], ("no", "yes"), ["yes", missing, "no"])
    assert found["rows"] == 3
    assert found["labels"]["true"] == {"no": 1, "yes": 1}
    assert (found["metrics"]["rows"], found["metrics"]["accuracy"]) == (2, 0.5)
    assert found["metrics"]["labels"]["no"] == {"precision": None, "recall": 0}
    assert profile_of([[0.2, 0.8]], ("no", "yes"), [missing])["metrics"] is None
    assert regressed([1.0, 5.0], [2.0, missing])["metrics"]["mae"] == 1
    assert regressed([1.0], [missing])["metrics"] is None


def test_few_rows_and_one_true_label_have_no_calibrator() -> None:
    few = [[0.4, 0.6], [0.7, 0.3]] * 9 + [[0.2, 0.8]]
    found = profile_of(few, ("no", "yes"), ["yes", "no"] * 9 + ["yes"])
    assert found["calibrator"] is None
    assert found["metrics"]["roc_auc"] == 1
    found = profile_of([*few, [0.2, 0.8]], ("no", "yes"), ["yes", "no"] * 9 + ["yes"] * 2)
    assert (found["calibrator"]["x"][0], set(found["calibrator"]["y"])) == (0.6, {1})
    found = profile_of(few * 3, ("no", "yes"), ["yes"] * 57)
    assert (found["calibrator"], found["metrics"]["roc_auc"]) == (None, None)
    assert found["metrics"]["labels"]["no"] == {"precision": 0, "recall": None}


def test_probabilities_that_are_none_of_the_best_are_borne() -> None:
    # float32 sums miss 1, and one-against-rest classifiers may give nothing but zeros.
    probabilities = np.array([[0.1, 0.7, 0.2], [0, 0, 0], [1 + 1e-7, 0, 0]], dtype=np.float32)
    found = profile_of(probabilities, ("a", "b", "c"), ["b", "a", "a"])
    expected = -np.log([0.7, 1 / 3, 1]).mean()
    assert found["metrics"]["log_loss"] == pytest.approx(expected, abs=1e-6)
    assert sum(found["scores"]["counts"]) == 3


def test_an_algorithm_without_probabilities_has_what_needs_none() -> None:
    signature = Signature(NUMBER, "classification", ("no", "yes"))
    predictions = [Prediction(label, None, None, None) for label in ("no", "yes", "maybe")] * 10
    truths = ["no", "no", "yes"] * 10
    found = json.loads(json.dumps(profile.profiled(signature, {"x": np.zeros(30)}, predictions, truths)))
    assert found["metrics"]["accuracy"] == pytest.approx(1 / 3)
    assert (found["metrics"]["log_loss"], found["metrics"]["brier"], found["metrics"]["roc_auc"]) == (None, None, None)
    assert (found["calibrator"], found["scores"]["null"]) == (None, 30)


def test_a_regression_has_errors_and_their_caps() -> None:
    random = np.random.default_rng(0)
    truths = random.normal(size=1_000)
    values = truths + random.standard_t(3, size=1_000)
    found = regressed(values.tolist(), truths.tolist())
    errors = np.abs(values - truths)
    caps = found["metrics"].pop("caps")
    assert found["metrics"] == pytest.approx(
        {
            "rows": 1_000,
            "mae": errors.mean(),
            "rmse": math.sqrt((errors**2).mean()),
            "r2": metrics.r2_score(truths, values),
        }
    )
    assert caps == pytest.approx({"absolute": np.quantile(errors, 0.995), "squared": np.quantile(errors**2, 0.995)})
    assert (found["labels"], found["calibrator"], found["scores"]["of"]) == (None, None, "value")
    assert found["scores"]["counts"] == [100] * 10


def test_what_is_not_finite_is_null() -> None:
    found = regressed([1e308, -1e308, 3.0], [-1e308, 1e308, "3"])["metrics"]
    assert (found["rows"], found["rmse"], found["caps"]["squared"]) == (3, None, None)
    assert regressed([1.0, 2.0], [4.0, 4.0])["metrics"]["r2"] is None


@pytest.mark.parametrize("truth", ["maybe", 2, True, "NO", ["no"]])
def test_a_truth_that_is_no_label_is_refused_by_its_row(truth: Any) -> None:
    with pytest.raises(InvalidArtifact, match="row 1 "):
        profile_of([[0.2, 0.8]] * 3, ("no", "yes"), ["no", truth, "yes"])


@pytest.mark.parametrize("truth", ["much", math.inf, "nan", 10**400, [1]])
def test_a_truth_that_is_no_number_is_refused_by_its_row(truth: Any) -> None:
    with pytest.raises(InvalidArtifact, match="row 1 "):
        regressed([1.0, 2.0], [1.0, truth])


def test_as_many_truths_as_rows_are_needed() -> None:
    with pytest.raises(InvalidArtifact, match="1 true outcomes came for 2 rows"):
        regressed([1.0, 2.0], [1.0])
