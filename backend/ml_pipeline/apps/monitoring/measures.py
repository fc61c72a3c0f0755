"""Measures: the single numbers that alert rules watch, each by its name, in one table.

They are those of `GET endpoints/{name}/metrics`, and those of the newest test for drift.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring import figures, slicing
from ml_pipeline.apps.monitoring.models import DriftTest
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.apps.monitoring.totals import Totals

# What a drift test says of scores stands under this name.
SCORE: Final = "score"


class Figure(NamedTuple):
    """A number, of how many rows, and where it lies with 95 %; bounds are None where the measure has none."""

    value: float
    rows: int
    low: float | None = None
    high: float | None = None


class Reading:
    """What there is of one algorithm: its totals in a window, and the newest of its drift tests that ended in it."""

    def __init__(self, subject: Subject, totals: Totals, test: DriftTest | None) -> None:
        self.subject, self.totals, self.test = subject, totals, test

    @cached_property
    def traffic(self) -> dict[str, Any]:
        """Requests, errors and latencies."""
        return figures.traffic(self.totals)

    @cached_property
    def performance(self) -> dict[str, Any]:
        """How right answers were; empty without outcomes."""
        return figures.performance(self.subject, self.totals) or {}

    @cached_property
    def estimate(self) -> dict[str, Any]:
        """What accuracy is to be expected; empty without a calibration."""
        return figures.estimate(self.subject, self.totals) or {}

    @cached_property
    def drift(self) -> Sequence[Mapping[str, Any]]:
        """What was tested for drift, features and scores; empty without a test."""
        result = json.loads(self.test.result) if self.test is not None else {"features": [], "score": None}
        return [*result["features"], *filter(None, [result["score"]])]


# Of a feature or a label, where the rule names one; None where it is not known or not defined.
Figured = Callable[[Reading, str], Figure | None]
# What is wrong with a feature or label, or with the measure itself, for an algorithm: the field, and what is expected.
Flaw = tuple[str, str]


class Measure(NamedTuple):
    """`least` and `most` are the bounds of its values, None where there are none.

    `takes` is `feature` or `label` where it is of one, which a rule has to name where it `needs` it. `parts` are what
    is read of the windows.
    """

    figure: Figured
    flaw: Callable[[Subject, str], Flaw | None]
    parts: tuple[str, ...]
    least: float | None = 0.0
    most: float | None = 1.0
    has_interval: bool = True
    takes: str = ""
    needs: bool = False
    is_estimate: bool = False


def _no_flaw(subject: Subject, name: str) -> Flaw | None:
    return None


def _unless(has: Callable[[Subject], bool], expected: str) -> Callable[[Subject, str], Flaw | None]:
    return lambda subject, _: None if has(subject) else ("measure", expected)


_of_classifiers = _unless(lambda one: one.is_classifier, "a measure of regression: nothing here answers with labels")
_of_regression = _unless(lambda one: not one.is_classifier, "a measure of classification: nothing here answers numbers")
_of_two = _unless(lambda one: len(one.signature.labels) == 2, "another measure: it needs an algorithm with two labels")
_of_calibrated = _unless(lambda one: one.is_calibrated, "another measure: it needs reference rows with their labels")


def _label_flaw(subject: Subject, name: str) -> Flaw | None:
    if name and name not in subject.labels and subject.is_classifier:
        return "label", f"one of {', '.join(subject.signature.labels[:20])}"
    return _of_classifiers(subject, name)


def _feature_flaw(subject: Subject, name: str) -> Flaw | None:
    if subject.profile is None:
        return "measure", "another measure: it needs an algorithm that was registered with reference rows"
    if name and name not in {part.name for part in subject.parts}:
        return "feature", f"one of {', '.join(part.name for part in subject.parts[:20])}"
    return None


def _slice_flaw(subject: Subject, name: str) -> Flaw | None:
    flaw = _feature_flaw(subject, name)
    if flaw is None and not any(part.is_sliced for part in subject.parts if part.name == name):
        return "feature", "a feature that makes slices, with few categories"
    return flaw


def _drift_flaw(subject: Subject, name: str) -> Flaw | None:
    return _feature_flaw(subject, "" if name == SCORE else name)


def _of(found: Mapping[str, Any] | None, rows: int) -> Figure | None:
    if found is None or found["value"] is None:
        return None
    return Figure(found["value"], rows, found["low"], found["high"])


def _requests(one: Reading, name: str) -> Figure:
    return Figure(one.traffic["requests"], one.traffic["requests"])


def _error_rate(one: Reading, name: str) -> Figure | None:
    return _of(one.traffic["error_rate"], one.traffic["requests"])


def _coverage(one: Reading, name: str) -> Figure | None:
    return _of(figures.feedback(one.totals)["coverage"], one.traffic["requests"])


def _latency(quantile: str) -> Measure:
    def figure(one: Reading, name: str) -> Figure | None:
        latencies, found = one.totals.latencies, one.traffic["latency_us"]
        return None if latencies is None or found is None else Figure(found[quantile], latencies.count)

    return Measure(figure, _no_flaw, ("traffic",), most=None, has_interval=False)


def _performance(field: str, rows: str = "rows") -> Figured:
    return lambda one, _: _of(one.performance.get(field), one.performance.get(rows, 0))


def _by_label(field: str) -> Measure:
    def figure(one: Reading, name: str) -> Figure | None:
        if not one.performance:
            return None
        labels = {each["label"]: each for each in one.performance["labels"]}
        return _of((labels.get(name, {}) if name else one.performance["macro"]).get(field), one.performance["rows"])

    return Measure(figure, _label_flaw, ("performance",), takes="label")


def _calibration_error(one: Reading, name: str) -> Figure | None:
    table = one.performance.get("calibration")
    return None if table is None else Figure(table["error"], one.performance["scored"])


def _estimated(field: str) -> Figured:
    return lambda one, _: _of(one.estimate.get(field), one.estimate.get("rows", 0))


def _slice_gap(one: Reading, name: str) -> Figure | None:
    (found,) = slicing.told(one.subject, one.totals, [name])
    gap = found.get("largest_gap")
    if gap is None:
        return None
    value, low, high = (gap["difference"][bound] for bound in ("value", "low", "high"))
    rows = sum(each["rows"] for each in found["slices"])
    if low is None or high is None:
        return Figure(abs(value), rows)
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    return Figure(abs(value), rows, nearest, max(abs(low), abs(high)))


def _share_of_feature(is_missing: bool) -> Measure:
    def figure(one: Reading, name: str) -> Figure | None:
        part = next((part for part in one.subject.parts if part.name == name), None)
        counts = one.totals.features.get(name)
        rows = 0 if counts is None else int(counts.sum())
        if part is None or counts is None or not rows:
            return None
        # Behind the bins: those that are missing, then those that are unseen.
        first = len(counts) - len(bins.OUTSIDE[part.about["kind"]])
        chosen = counts[first : first + 1] if is_missing else counts[first + 1 :]
        return Figure(int(chosen.sum()) / rows, rows)

    return Measure(figure, _feature_flaw, ("features",), has_interval=False, takes="feature", needs=True)


def _drift_excess(one: Reading, name: str) -> Figure | None:
    found = [each["excess"] for each in one.drift if not name or each["name"] == name]
    return Figure(max(found), one.test.rows) if found and one.test is not None else None


def _drifted(one: Reading, name: str) -> Figure | None:
    return None if one.test is None else Figure(sum(each["is_drifted"] for each in one.drift), one.test.rows)


_PERFORMANCE: Final = ("performance",)
MEASURES: Final[Mapping[str, Measure]] = {
    "requests": Measure(_requests, _no_flaw, (), most=None, has_interval=False),
    "error_rate": Measure(_error_rate, _no_flaw, ()),
    "latency_p50_us": _latency("p50"),
    "latency_p90_us": _latency("p90"),
    "latency_p99_us": _latency("p99"),
    "feedback_coverage": Measure(_coverage, _no_flaw, ()),
    "accuracy": Measure(_performance("accuracy"), _of_classifiers, _PERFORMANCE),
    "precision": _by_label("precision"),
    "recall": _by_label("recall"),
    "f1": _by_label("f1"),
    "log_loss": Measure(_performance("log_loss", "scored"), _of_classifiers, _PERFORMANCE, most=None),
    "brier": Measure(_performance("brier", "scored"), _of_classifiers, _PERFORMANCE),
    "roc_auc": Measure(_performance("roc_auc", "scored"), _of_two, _PERFORMANCE),
    "calibration_error": Measure(_calibration_error, _of_classifiers, _PERFORMANCE, has_interval=False),
    "mae": Measure(_performance("mae"), _of_regression, _PERFORMANCE, most=None),
    "rmse": Measure(_performance("rmse"), _of_regression, _PERFORMANCE, most=None),
    "r2": Measure(_performance("r2"), _of_regression, _PERFORMANCE, least=None),
    "expected_accuracy": Measure(_estimated("accuracy"), _of_calibrated, _PERFORMANCE, is_estimate=True),
    "expected_accuracy_change": Measure(
        _estimated("change"), _of_calibrated, _PERFORMANCE, least=-1.0, is_estimate=True
    ),
    # In regression it is a difference of errors.
    "slice_gap": Measure(_slice_gap, _slice_flaw, ("slices",), most=None, takes="feature", needs=True),
    "missing_rate": _share_of_feature(is_missing=True),
    "unseen_rate": _share_of_feature(is_missing=False),
    "drift_excess": Measure(_drift_excess, _drift_flaw, (), least=None, most=None, has_interval=False, takes="feature"),
    "drifted": Measure(_drifted, _drift_flaw, (), most=None, has_interval=False),
}
# Those that are of the newest test for drift, and the one that is of the endpoint unless a rule names an algorithm.
OF_DRIFT: Final = ("drift_excess", "drifted")
VOLUME: Final = "requests"
