from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from homes import REPOSITORY
from sklearn import metrics
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.regressions import Regression

CLOSE = {"rel": 0, "abs": 1e-9}


def of_random(labels: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(labels)
    given = rng.dirichlet(np.full(labels, 0.3), 5_000)
    given[:20] = np.eye(labels)[rng.integers(0, labels, 20)]
    true = np.array([rng.choice(labels, p=row) for row in given * 0.8 + 0.2 / labels])
    return true, given.argmax(axis=1), given


def of_people(classifier: Any) -> tuple[Any, Any, Any]:
    train, test = (pd.read_csv(REPOSITORY / "research" / "data" / f"adult_{part}.csv.gz") for part in ("train", "test"))
    numbers = train.select_dtypes("number").columns
    classifier.fit(train[numbers], train["income"] == ">50K")
    given = classifier.predict_proba(test[numbers])
    return (test["income"] == ">50K").to_numpy().astype(np.int64), given.argmax(axis=1), given


CASES = {
    "two labels": lambda: of_random(2),
    "three labels": lambda: of_random(3),
    "ten labels": lambda: of_random(10),
    "people by a tree": lambda: of_people(DecisionTreeClassifier(max_depth=8, random_state=0)),
    "people by Bayes": lambda: of_people(GaussianNB()),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Any, Any, Any, dict[str, Any]]:
    true, predicted, given = CASES[request.param]()
    return true, predicted, given, Classification.of(true, predicted, given, labels=given.shape[1]).metrics()


def test_figures_of_labels_are_those_of_scikit_learn(case: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    true, predicted, given, found = case
    assert found["rows"] == len(true)
    assert found["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(true, predicted), **CLOSE)
    figures = metrics.precision_recall_fscore_support(true, predicted, labels=range(given.shape[1]))
    for place, label in enumerate(found["labels"]):
        for name, expected in zip(("precision", "recall", "f1"), figures, strict=False):
            assert label[name]["value"] == pytest.approx(expected[place], **CLOSE)
        assert label["true"] == figures[3][place]
        assert label["predicted"] == (predicted == place).sum()
    for name, expected in zip(("precision", "recall", "f1"), figures, strict=False):
        assert found["macro"][name]["value"] == pytest.approx(expected.mean(), **CLOSE)


def test_losses_are_those_of_scikit_learn(case: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    true, _, given, found = case
    every = range(given.shape[1])
    assert found["scored"] == len(true)
    assert found["log_loss"]["value"] == pytest.approx(metrics.log_loss(true, given, labels=every), **CLOSE)
    brier = metrics.brier_score_loss(true, given, labels=every, scale_by_half=True)
    assert found["brier"]["value"] == pytest.approx(brier, **CLOSE)


@pytest.mark.parametrize("labels", [3, 10])
def test_losses_of_probabilities_that_were_rounded_are_those_of_scikit_learn(labels: int) -> None:
    rng = np.random.default_rng(0)
    for rows in (1, 10, 1_000):
        given = rng.dirichlet(np.ones(labels), rows).astype(np.float32).astype(np.float64)
        true = rng.integers(0, labels, rows)
        found = Classification.of(true, given.argmax(axis=1), given, labels=labels).metrics()
        every = list(range(labels))
        with warnings.catch_warnings():
            # They do not add up to 1 to the last digit, which it minds.
            warnings.simplefilter("ignore")
            loss = metrics.log_loss(true, given, labels=every)
            brier = metrics.brier_score_loss(true, given, labels=every, scale_by_half=True)
        assert found["log_loss"]["value"] == pytest.approx(loss, **CLOSE)
        assert found["brier"]["value"] == pytest.approx(brier, **CLOSE)


def test_the_area_is_off_by_no_more_than_it_says(case: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    true, _, given, found = case
    if given.shape[1] != 2:
        assert (found["roc_auc"], found["roc_auc_error"]) == (None, None)
        return
    exact = metrics.roc_auc_score(true, given[:, 1])
    assert abs(found["roc_auc"]["value"] - exact) <= found["roc_auc_error"] + 1e-12
    assert found["roc_auc_error"] < 0.05
    # What is in one bin is tied: of the same scores, binned, it is exact.
    binned = np.minimum((given[:, 1] * 1_000).astype(int), 999)
    assert found["roc_auc"]["value"] == pytest.approx(metrics.roc_auc_score(true, binned), **CLOSE)


def test_calibration_is_that_of_pandas(case: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    true, predicted, given, found = case
    two = given.shape[1] == 2
    chance = given[:, 1] if two else given[np.arange(len(true)), predicted]
    frame = pd.DataFrame({"chance": chance, "came_true": (true == 1) if two else (true == predicted)})
    table = frame.groupby(np.minimum((frame["chance"] * 20).astype(int), 19)).agg(["mean", "size"])
    bins = found["calibration"]["bins"]
    assert [one["rows"] for one in bins] == table["chance", "size"].tolist()
    assert [one["chance"] for one in bins] == pytest.approx(table["chance", "mean"].tolist(), **CLOSE)
    assert [one["rate"]["value"] for one in bins] == pytest.approx(table["came_true", "mean"].tolist(), **CLOSE)
    distance = (table["chance", "mean"] - table["came_true", "mean"]).abs() @ table["chance", "size"] / len(true)
    assert found["calibration"]["error"] == pytest.approx(distance, **CLOSE)


def test_they_are_defined_as_the_reference_metrics_are() -> None:
    signature = Signature((Feature("x", "number"),), "classification", ("a", "b", "c"))
    rng = np.random.default_rng(3)
    given = (rng.dirichlet([1, 1, 1], 200) * [1, 1, 0]).astype(np.float32)
    given[0] = 0
    predictions = Algorithm(signature, None).postprocess(given)
    true = rng.integers(0, 2, 200)
    document = profile.profiled(signature, {"x": np.zeros(200)}, predictions, [signature.labels[at] for at in true])
    reference = document["metrics"]
    said = np.array([signature.labels.index(str(one.label)) for one in predictions])
    probabilities = np.array([one.probabilities for one in predictions])
    found = Classification.of(true, said, probabilities, labels=3).metrics()
    for name in ("accuracy", "log_loss", "brier"):
        assert found[name]["value"] == pytest.approx(reference[name], **CLOSE)
    for label, figures in zip(signature.labels, found["labels"], strict=True):
        for name, expected in reference["labels"][label].items():
            value = figures[name] and figures[name]["value"]
            assert value == (expected if expected is None else pytest.approx(expected, **CLOSE))
    assert found["labels"][2]["recall"] is None


def test_rows_without_an_outcome_or_a_label_are_left_out_and_those_without_probabilities_have_no_loss() -> None:
    true, predicted = np.array([0, 1, -1, 1, 0]), np.array([0, 0, 1, -1, 0])
    given = np.array([[0.9, 0.1], [np.nan, np.nan], [0.5, 0.5], [0.5, 0.5], [0.7, 0.3]])
    found = Classification.of(true, predicted, given, labels=2).metrics()
    assert (found["rows"], found["scored"]) == (3, 2)
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["log_loss"]["value"] == pytest.approx(-np.log([0.9, 0.7]).mean())
    without = Classification.of(true, predicted, labels=2).metrics()
    assert without["accuracy"] == found["accuracy"]
    assert (without["log_loss"], without["brier"], without["roc_auc"], without["calibration"]) == (None,) * 4


@pytest.mark.parametrize("center", [0.0, 1e4, -1e6])
def test_errors_of_regressions_are_those_of_scikit_learn(center: float) -> None:
    rng = np.random.default_rng(8)
    true = rng.gamma(2.0, 3.0, 4_000) + center
    predicted = true + rng.standard_t(5, 4_000)
    found = Regression.of(true, predicted).metrics()
    assert found["rows"] == 4_000
    assert found["mae"]["value"] == pytest.approx(metrics.mean_absolute_error(true, predicted), **CLOSE)
    assert found["rmse"]["value"] == pytest.approx(metrics.root_mean_squared_error(true, predicted), **CLOSE)
    assert found["r2"]["value"] == pytest.approx(metrics.r2_score(true, predicted), **CLOSE)


def test_r2_is_not_defined_where_all_true_values_are_one() -> None:
    found = (Regression.of([0.1] * 3, [1, 2, 3]) + Regression.of([0.1], [4])).metrics()
    assert found["r2"] is None
    assert found["mae"]["value"] == pytest.approx(2.4)


def test_the_estimate_is_the_mean_of_calibrated_confidences() -> None:
    chances = np.random.default_rng(9).uniform(0.5, 1, 1_000)
    found = Estimate.of([*chances, np.nan]).metrics(0.8)
    assert found["rows"] == 1_000
    assert found["accuracy"]["value"] == pytest.approx(chances.mean(), **CLOSE)
    assert found["change"]["value"] == pytest.approx(chances.mean() - 0.8, **CLOSE)
    assert found["reference"] == 0.8
    assert Estimate.of(chances).metrics()["change"] is None
