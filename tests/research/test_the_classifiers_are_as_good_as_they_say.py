"""Measured anew on all rows of the test part, from the pipelines themselves and not from what their manifests say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trained
from homes import REPOSITORY

from ml_pipeline.apps.ml.bundles import Bundle

MAX_ERROR = {"random_forest": 0.140, "extra_trees": 0.150, "decision_tree": 0.150}


@pytest.fixture(scope="module")
def test_part() -> pd.DataFrame:
    return pd.read_csv(REPOSITORY / "research" / "data" / "adult_test.csv.gz")


@pytest.fixture(scope="module", params=MAX_ERROR)
def answered(request: pytest.FixtureRequest, bundles: Path, test_part: pd.DataFrame) -> Any:
    """A bundle, the truth, its labels and its probabilities of more than 50,000 dollars."""
    bundle = Bundle(bundles / request.param)
    pipeline = trained.pipeline(bundle)
    people = test_part.drop(columns="income")
    rich = (test_part["income"] == ">50K").to_numpy()
    return bundle, rich, pipeline.predict(people) == ">50K", pipeline.predict_proba(people)[:, 1]


def test_the_test_part_is_whole(test_part: pd.DataFrame) -> None:
    assert len(test_part) == 16_281
    assert len(test_part.dropna()) == 15_060
    assert (test_part["income"] == ">50K").sum() == 3_846


def test_its_error_is_within_the_promise(answered: Any) -> None:
    bundle, truth, answer, _ = answered
    assert len(truth) == 16_281
    assert np.mean(answer != truth) <= MAX_ERROR[bundle.folder.name]


def test_its_metrics_are_those_of_its_manifest(answered: Any) -> None:
    bundle, truth, answer, probability = answered
    hits = (answer & truth).sum()
    order = probability.argsort(kind="stable")
    # The area under the curve is the share of pairs in the right order, ties counting half (Mann and Whitney 1947).
    ranks = pd.Series(probability).rank().to_numpy()
    positives, negatives = truth.sum(), (~truth).sum()
    certain = np.clip(np.where(truth, probability, 1 - probability), np.finfo(float).eps, 1)
    recomputed = {
        "accuracy": np.mean(answer == truth),
        "error": np.mean(answer != truth),
        "precision": hits / answer.sum(),
        "recall": hits / truth.sum(),
        "f1": 2 * hits / (answer.sum() + truth.sum()),
        "roc_auc": (ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives),
        "log_loss": -np.log(certain).mean(),
        "brier": np.mean((probability - truth) ** 2),
        "rows": len(order),
    }
    assert bundle.manifest["metrics"] == pytest.approx(recomputed, abs=1e-9)
    assert 0.8 < bundle.manifest["cross_validated_accuracy"] < 0.9


def test_its_probabilities_are_near_the_truth(answered: Any) -> None:
    """On average, and in each fifth of the people, within 5 points."""
    _, truth, _, probability = answered
    assert probability.mean() == pytest.approx(truth.mean(), abs=0.02)
    for part in np.array_split(probability.argsort(kind="stable"), 5):
        assert probability[part].mean() == pytest.approx(truth[part].mean(), abs=0.05)
