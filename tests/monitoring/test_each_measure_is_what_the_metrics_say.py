"""What a rule sees is the number that the metrics and the drift tests of the same time say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from traffic import PRICES, entry, folded, outcome, tell
from watching import Manager, Traffic, promoted, round_made

from ml_pipeline.apps.events import clock
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.monitoring.measures import MEASURES
from ml_pipeline.apps.monitoring.models import DriftTest

pytestmark = pytest.mark.django_db

# Where each stands in the metrics of an algorithm, and the feature or label that it is of.
OF_CLASSIFIERS: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "error_rate": (("error_rate",), ""),
    "latency_p50_us": (("latency_us", "p50"), ""),
    "latency_p90_us": (("latency_us", "p90"), ""),
    "latency_p99_us": (("latency_us", "p99"), ""),
    "feedback_coverage": (("feedback", "coverage"), ""),
    "accuracy": (("performance", "accuracy"), ""),
    "precision": (("performance", "labels", 1, "precision"), "yes"),
    "recall": (("performance", "macro", "recall"), ""),
    "f1": (("performance", "labels", 0, "f1"), "no"),
    "log_loss": (("performance", "log_loss"), ""),
    "brier": (("performance", "brier"), ""),
    "roc_auc": (("performance", "roc_auc"), ""),
    "calibration_error": (("performance", "calibration", "error"), ""),
    "expected_accuracy": (("estimate", "accuracy"), ""),
    "expected_accuracy_change": (("estimate", "change"), ""),
    "missing_rate": (("features", 0, "missing"), "age"),
    "unseen_rate": (("features", 1, "unseen"), "job"),
}
OF_REGRESSION = ("mae", "rmse", "r2")


def names(measure: str, name: str) -> dict[str, str]:
    return {MEASURES[measure].takes: name} if name else {}


def seen(manager: Manager, measure: str, version: str, **values: Any) -> dict[str, Any]:
    """What a rule of the measure saw; on the side where it is no breach."""
    most = MEASURES[measure].most
    threshold = 1e9 if most is None else most - 1e-6
    body = {"name": measure.replace("_", "-"), "version": version, "min_rows": 0, **values}
    rule = manager.add(measure, "above", threshold, **body)
    round_made()
    (found,) = manager.get(f"alertrules/{rule['id']}")["standing"]
    return dict(found)


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def test_of_a_classifier() -> None:
    by, traffic, manager = promoted(), Traffic(), Manager()
    entries = traffic.ask(by, 300)
    traffic.ask(by, 7, outcome="internal", response=None, probability=None)
    tell((one, traffic.draw.choice([one.response, "no"])) for one in entries[:200])
    folded()
    (metrics,) = manager.get("endpoints/demo/metrics")["algorithms"]
    (sliced,) = manager.get("endpoints/demo/metrics", slices="member")["algorithms"][0]["slices"]
    for measure, (path, name) in OF_CLASSIFIERS.items():
        found, told = seen(manager, measure, "1", **names(measure, name)), at(metrics, path)
        interval = told if isinstance(told, dict) else {"value": told, "low": None, "high": None}
        assert {field: found[field] for field in interval} == pytest.approx(interval), measure
        assert (found["low"] is not None) == MEASURES[measure].has_interval, measure
    assert seen(manager, "requests", "1")["value"] == 307
    gap = seen(manager, "slice_gap", "1", feature="member")
    assert gap["value"] == pytest.approx(abs(sliced["largest_gap"]["difference"]["value"]))
    assert gap["low"] <= gap["value"] <= gap["high"]


def test_of_a_regression() -> None:
    by, traffic, manager = promoted("2", signature=PRICES), Traffic(), Manager()
    now = clock.now()
    predictions = [Prediction(None, None, None, traffic.draw.gauss(100, 20)) for _ in range(200)]
    entries = [entry(traffic.draw, by, now, answered=one) for one in predictions]
    traffic.commit(entries)
    tell((one, outcome(traffic.draw, answer)) for one, answer in zip(entries, predictions, strict=True))
    folded()
    (metrics,) = manager.get("endpoints/demo/metrics")["algorithms"]
    for measure in OF_REGRESSION:
        if measure == "r2":
            rule = manager.add("r2", "below", -5.0, name="r2")
            round_made()
            (found,) = manager.get(f"alertrules/{rule['id']}")["standing"]
        else:
            found = seen(manager, measure, "2")
        assert found["value"] == pytest.approx(metrics["performance"][measure]["value"])


def test_of_the_newest_test_for_drift_that_ended_in_the_window() -> None:
    by, manager, now = promoted(), Manager(), clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)

    def tested(hours_ago: int, age: float, score: float) -> None:
        each = {"rows": 500, "p": 0.5, "q": 0.5, "psi": 0.0, "words": None}
        features = [{"name": "age", "excess": age, "is_drifted": age > 0.1, **each}]
        result = {"features": features, "score": {"name": "score", "excess": score, "is_drifted": score > 0.1, **each}}
        DriftTest.objects.create(
            parent_mlalgorithm=by,
            from_at=hour - timedelta(hours=hours_ago + 1),
            to_at=hour - timedelta(hours=hours_ago),
            rows=500,
            tested=2,
            is_alarm=False,
            result=json.dumps({**result, "untested": [], "estimate": None}),
            created_at=now,
        )

    tested(30, 0.9, 0.9)
    assert seen(manager, "drifted", "1", name="too-old")["value"] is None
    tested(3, 0.7, 0.2)
    tested(2, 0.3, 0.4)
    assert seen(manager, "drifted", "1")["value"] == 2
    assert seen(manager, "drift_excess", "1")["value"] == 0.4
    assert seen(manager, "drift_excess", "1", name="of-age", feature="age")["value"] == 0.3
    assert seen(manager, "drift_excess", "1", name="of-score", feature="score")["rows"] == 500


def test_all_measures_are_in_these_tests() -> None:
    elsewhere = {"requests", "slice_gap", "drifted", "drift_excess"}
    assert set(MEASURES) == {*OF_CLASSIFIERS, *OF_REGRESSION, *elsewhere}
