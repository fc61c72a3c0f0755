"""Figures from totals, however the rows were cut, are those that scikit-learn and NumPy find in the rows themselves."""

from __future__ import annotations

import json
import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.latencies import RELATIVE_ERROR, Latencies
from ml_pipeline.stats.regressions import Regression

ROWS = 5_000
CUTS = [0, 0, 1, 700, 701, 4_999, ROWS]


def stored(total: Any) -> Any:
    """As it comes back from JSON, which has neither NaN nor infinity."""
    return type(total).from_json(json.loads(json.dumps(total.to_json(), allow_nan=False)))


def flat(document: Any) -> list[float]:
    """All numbers of it, in order."""
    if isinstance(document, dict):
        document = [
            number for name in sorted(document) for number in (int(name) if name.isdigit() else 0, document[name])
        ]
    return [number for one in document for number in flat(one)] if isinstance(document, list) else [document]


def cut(of: Any, *arrays: np.ndarray, **options: Any) -> Any:
    """The sum of parts of the rows, each stored and read; one by one and at once alike."""
    ends = [*CUTS, ROWS]
    parts = [of(*(one[a:b] for one in arrays), **options) for a, b in zip([0, *ends], ends, strict=False)]
    at_once = type(parts[0]).summed([part.to_json() for part in parts], **options)
    one_by_one = reduce(add, map(stored, parts))
    assert flat(at_once.to_json()) == pytest.approx(flat(one_by_one.to_json()), rel=1e-12)
    return at_once


def classified(seed: int, labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.choice(labels, ROWS, p=rng.dirichlet(np.full(labels, 3.0)))
    logits = rng.normal(size=(ROWS, labels))
    logits[np.arange(ROWS), true] += 1.2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return true, chances.argmax(axis=1), chances


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_classifications_are_as_scikit_learn_has_them(labels: int) -> None:
    true, predicted, chances = classified(labels, labels)
    found = cut(Classification.of, true, predicted, chances, labels=labels).metrics()
    assert found["rows"] == found["scored"] == ROWS
    assert found["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(true, predicted), abs=1e-9)
    each = metrics.precision_recall_fscore_support(true, predicted, labels=range(labels), zero_division=np.nan)
    for at, name in enumerate(("precision", "recall", "f1")):
        assert [one[name]["value"] for one in found["labels"]] == pytest.approx(each[at].tolist(), abs=1e-9)
        assert found["macro"][name]["value"] == pytest.approx(each[at].mean(), abs=1e-9)
    assert found["log_loss"]["value"] == pytest.approx(metrics.log_loss(true, chances), abs=1e-9)
    if labels == 2:
        assert found["brier"]["value"] == pytest.approx(metrics.brier_score_loss(true, chances[:, 1]), abs=1e-9)
        exact = metrics.roc_auc_score(true, chances[:, 1])
        assert abs(found["roc_auc"]["value"] - exact) <= found["roc_auc_error"] < 0.001
    else:
        assert found["roc_auc"] is None


def test_regressions_are_as_scikit_learn_has_them_however_far_from_zero() -> None:
    rng = np.random.default_rng(4)
    for center in (0.0, 1e6):
        true = rng.normal(center, 3.0, ROWS)
        predicted = true + rng.standard_t(5, ROWS)
        found = cut(Regression.of, true, predicted).metrics()
        assert found["rows"] == ROWS
        assert found["mae"]["value"] == pytest.approx(metrics.mean_absolute_error(true, predicted), abs=1e-9)
        assert found["rmse"]["value"] == pytest.approx(metrics.root_mean_squared_error(true, predicted), abs=1e-9)
        assert found["r2"]["value"] == pytest.approx(metrics.r2_score(true, predicted), abs=1e-9)


def test_quantiles_are_within_their_error_of_numpys() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.lognormal(7, 2, ROWS - 4).astype(np.int64), [0, 1, 10**9, 2**40]])
    found = cut(Latencies.of, values)
    assert (found.count, found.sum_us) == (ROWS, int(values.sum()))
    for q in (0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = float(np.quantile(values, q, method="inverted_cdf"))
        assert abs(found.quantile(q) - exact) <= RELATIVE_ERROR * exact


def test_an_estimate_is_the_mean_of_chances() -> None:
    chances = np.random.default_rng(6).beta(8, 2, ROWS)
    found = cut(Estimate.of, chances).metrics(0.8)
    assert found["rows"] == ROWS
    assert found["accuracy"]["value"] == pytest.approx(chances.mean(), abs=1e-9)
    assert found["change"]["value"] == pytest.approx(chances.mean() - 0.8, abs=1e-9)
    assert found["accuracy"]["low"] < chances.mean() < found["accuracy"]["high"]


ODD = {
    "no rows": ([], [], np.empty((0, 2))),
    "one row": ([1], [1], [[0.0, 1.0]]),
    "one label is true": ([1, 1, 1], [0, 1, 0], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]),
    "no probabilities": ([0, 1], [0, 0], None),
    "probabilities that are none": ([0, 1], [0, 1], [[np.nan, np.nan], [0.0, 0.0]]),
    "labels that are none": ([-1, 1], [0, -1], [[0.1, 0.9], [0.1, 0.9]]),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_has_figures_that_json_takes(case: str) -> None:
    true, predicted, chances = ODD[case]
    found = stored(Classification.of(true, predicted, chances, labels=2)).metrics()
    json.dumps(found, allow_nan=False)
    known = sum(one >= 0 and other >= 0 for one, other in zip(true, predicted, strict=True))
    assert found["rows"] == known
    assert (found["accuracy"] is None) == (known == 0)


@pytest.mark.parametrize("values", [[], [5.0], [2.0, 2.0, 2.0], [1e308, -1e308], [math.inf, math.nan]])
def test_odd_values_have_figures_that_json_takes(values: list[float]) -> None:
    true = np.array(values)
    json.dumps(stored(Regression.of(true, true[::-1])).metrics(), allow_nan=False)


def test_intervals_of_accuracy_and_loss_cover_in_95_of_100_runs() -> None:
    covered = np.zeros(3)
    runs = 600
    for seed in range(runs):
        rng = np.random.default_rng(1_000 + seed)
        chance = rng.beta(2, 2, 400)
        true = (rng.random(400) < chance).astype(np.int64)
        chances = np.column_stack([1 - chance, chance])
        found = Classification.of(true, chances.argmax(axis=1), chances, labels=2).metrics()
        # By integration over the Beta distribution: the accuracy of its larger side, log-loss and Brier score.
        for at, (name, exact) in enumerate((("accuracy", 0.6875), ("log_loss", 7 / 12), ("brier", 0.2))):
            covered[at] += found[name]["low"] <= exact <= found[name]["high"]
    assert (np.abs(covered / runs - 0.95) < 0.03).all(), covered / runs
