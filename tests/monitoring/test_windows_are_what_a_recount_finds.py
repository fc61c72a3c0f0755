"""What is folded is what pandas and scikit-learn find in all rows of the log: counts alike, figures within 1e-9."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    precision_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)
from traffic import (
    BINARY,
    COLOURS,
    HOUR,
    NOON,
    PRICES,
    Log,
    entry,
    folded,
    outcome,
    prediction,
    row,
    sums,
    tell,
    watched,
)

from ml_pipeline.apps.endpoints.models import Feedback, MLAlgorithm, MLRequest
from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.apps.monitoring import courses, readings, subjects
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.totals import PARTS, Totals
from ml_pipeline.stats.classifications import Classification

pytestmark = pytest.mark.django_db
ROWS = 900
# Missing, never seen in the reference, and rare.
JOBS = ["baker", "cook", "nurse", "pilot", "astronaut", None]


@pytest.fixture
def three() -> list[MLAlgorithm]:
    """Algorithms of each kind, and what people have asked of them within eight hours, 30 % with outcomes."""
    made = [watched("1", BINARY), watched("2", COLOURS), watched("3", PRICES)]
    draw = random.Random(3)
    log, told = Log(draw), []
    for begin in range(0, ROWS, 60):
        moments = [NOON + timedelta(minutes=480 * (begin + at) / ROWS) for at in range(60)]
        entries = []
        for moment in moments:
            by = draw.choice(made)
            answered = prediction(draw, by.signature["labels"])
            one = entry(draw, by, moment, row(draw, JOBS), answered)
            if draw.random() < 0.1:
                one = one._replace(outcome="internal", response=None, probability=None, full_response='{"error": {}}')
            elif draw.random() < 0.3:
                told.append((one, outcome(draw, answered)))
            entries.append(one)
        log.commit(entries, moments[-1])
    tell(told)
    # Corrections do not count.
    tell((one, "yes" if value == "no" else "no") for one, value in told if value in ("yes", "no"))
    assert folded() < 4
    return made


def frame(by: MLAlgorithm) -> pd.DataFrame:
    """The log of one algorithm with its first outcomes."""
    found = pd.DataFrame(MLRequest.objects.filter(parent_mlalgorithm=by).values())
    first = pd.DataFrame(Feedback.objects.order_by("pk").values("request_id", "value")).drop_duplicates("request_id")
    found["hour"] = found["created_at"].dt.floor("h")
    return found.merge(first, how="left", left_on="id", right_on="request_id")


def totals(by: MLAlgorithm, since: datetime = NOON, hours: int = 8) -> Totals:
    return readings.merged([by.pk], Range.of(since, since + hours * HOUR), PARTS)[by.pk]


def test_volumes_errors_and_labels_of_every_hour(three: list[MLAlgorithm]) -> None:
    for by in three:
        log = frame(by)
        for hour, rows in log.groupby("hour"):
            found = totals(by, hour.to_pydatetime(), 1)
            assert found.whole["requests"] == len(rows)
            assert found.whole["errors"] == found.errors.get("internal", 0) == (rows["outcome"] == "internal").sum()
            assert found.whole["labelled"] == rows["value"].notna().sum()
            assert found.whole["unreadable"] == found.whole["erased"] == found.whole["unscored"] == 0
            assert found.latencies is not None
            assert (found.latencies.count, found.latencies.sum_us) == (len(rows), rows["latency_us"].sum())
            median = np.quantile(rows["latency_us"], 0.5, method="inverted_cdf")
            assert found.latencies.quantile(0.5) == pytest.approx(median, rel=0.01)


def test_features_and_scores_fall_where_the_profile_puts_them(three: list[MLAlgorithm]) -> None:
    for by in three:
        log, found = frame(by), totals(by)
        signature, about = Signature.from_json(by.signature), by.reference_profile
        columns = signature.columns([json.loads(text) for text in log["input_data"]])
        for part in about["features"]:
            assert found.features[part["name"]].tolist() == flat(profile.counted(part, columns[part["name"]]))
        answered = log[log["outcome"] == "ok"]
        scores = answered["probability"] if signature.labels else answered["response"]
        assert found.scores is not None
        assert found.scores.tolist() == flat(profile.counted(about["scores"], scores.astype(float).to_numpy()))
        if signature.labels:
            counts = answered["response"].value_counts()
            assert found.labels is not None
            assert found.labels.tolist() == [counts.get(label, 0) for label in signature.labels]


def flat(counted: dict[str, Any]) -> list[int]:
    counts, *outside = counted.values()
    return [*counts, *outside]


def test_outcomes_are_measured_as_scikit_learn_does(three: list[MLAlgorithm]) -> None:
    binary, colours, prices = (known(by) for by in three)
    for by, rows in ((three[0], binary), (three[1], colours)):
        found = totals(by)
        labels = by.signature["labels"]
        figures = found.outcomes.metrics()  # type: ignore[union-attr]
        assert found.whole["correct"] == (rows["value"] == rows["response"]).sum()
        assert figures["accuracy"]["value"] == pytest.approx(accuracy_score(rows["value"], rows["response"]), abs=1e-9)
        given = probabilities(rows, labels)
        close(figures["log_loss"], log_loss(rows["value"], given, labels=labels))
        close(figures["brier"], brier_score_loss(rows["value"], given, labels=labels, scale_by_half=True))
        for measure, name in ((precision_score, "precision"), (recall_score, "recall")):
            expected = measure(rows["value"], rows["response"], labels=labels, average=None, zero_division=np.nan)
            for label, value in zip(figures["labels"], expected, strict=True):
                close(label[name], value)
    area = totals(three[0]).outcomes.metrics()  # type: ignore[union-attr]
    expected = roc_auc_score(binary["value"] == "yes", binary["probability"].astype(float))
    assert area["roc_auc"]["value"] == pytest.approx(expected, abs=area["roc_auc_error"] + 1e-9)
    figures = totals(three[2]).outcomes.metrics()  # type: ignore[union-attr]
    values, responses = prices["value"].astype(float), prices["response"].astype(float)
    close(figures["mae"], mean_absolute_error(values, responses))
    close(figures["rmse"], root_mean_squared_error(values, responses))


def known(by: MLAlgorithm) -> pd.DataFrame:
    log = frame(by)
    return log[log["value"].notna()]


def probabilities(rows: pd.DataFrame, labels: list[str]) -> np.ndarray[Any, Any]:
    if len(labels) == 2:
        return np.stack([1 - rows["probability"], rows["probability"]], axis=1).astype(float)
    replies = [json.loads(text)["probabilities"] for text in rows["full_response"]]
    return np.array([[reply[label] for label in labels] for reply in replies])


def close(figure: dict[str, float] | None, expected: float) -> None:
    assert (figure is None) == bool(np.isnan(expected))
    assert figure is None or figure["value"] == pytest.approx(expected, abs=1e-9)


def test_the_estimate_is_the_mean_of_calibrated_confidences(three: list[MLAlgorithm]) -> None:
    for by in three[:2]:
        log = frame(by)
        answered = log[log["outcome"] == "ok"]
        confidence = answered["probability"].astype(float)
        if by.signature["labels"] == ["no", "yes"]:
            confidence = confidence.where(answered["response"] == "yes", 1 - confidence)
        expected = profile.calibrated(by.reference_profile, confidence.to_numpy())
        estimate = totals(by).estimate
        assert estimate is not None
        assert estimate.rows == len(answered)
        assert estimate.sum == pytest.approx(expected.sum(), abs=1e-9)
    assert totals(three[2]).estimate is None


def test_slices_are_the_outcomes_of_each_category(three: list[MLAlgorithm]) -> None:
    for by, rows in zip(three, map(known, three), strict=True):
        found = totals(by)
        (part,) = [part for part in by.reference_profile["features"] if part["name"] == "job"]
        asked = [json.loads(text)["job"] for text in rows["input_data"]]
        places = [*part["categories"], None]
        assert set(found.slices) == {"job", "member"}
        for at in range(len(places) + 1):
            chosen = rows[[one not in places if at == len(places) else one == places[at] for one in asked]]
            sliced = found.slices["job"][at]
            if by.signature["labels"]:
                table = pd.crosstab(chosen["value"], chosen["response"])
                labels = by.signature["labels"]
                expected = table.reindex(index=labels, columns=labels, fill_value=0).to_numpy().ravel()
                assert sliced.tolist() == expected.tolist()
            else:
                errors = (chosen["response"].astype(float) - chosen["value"].astype(float)).abs()
                expected = [len(chosen), errors.sum(), (errors**2).sum(), (errors**4).sum()]
                assert sliced.tolist() == pytest.approx(expected, abs=1e-9, rel=1e-9)


def test_days_and_weeks_have_what_their_hours_have(three: list[MLAlgorithm]) -> None:
    for name in ("requests", "errors", "labelled", "correct"):
        assert sum(sums(name).values()) == sum(sums(name, 24).values()) == sum(sums(name, 168).values())
    one = readings.merged([three[0].pk], Range.of(NOON, NOON + 8 * HOUR), PARTS)[three[0].pk]
    day = NOON.replace(hour=0)
    whole = readings.merged([three[0].pk], Range.of(day, day + 24 * HOUR), PARTS)[three[0].pk]
    assert whole.whole == one.whole
    assert isinstance(whole.outcomes, Classification)
    assert isinstance(one.outcomes, Classification)
    assert whole.outcomes.confusion.tolist() == one.outcomes.confusion.tolist()
    assert whole.outcomes.losses.tolist() == pytest.approx(one.outcomes.losses.tolist(), abs=1e-9)
    assert {name: counts.tolist() for name, counts in whole.features.items()} == {
        name: counts.tolist() for name, counts in one.features.items()
    }
    assert Window.objects.filter(hours=24).count() == 3


def test_an_algorithm_without_a_profile_has_volumes_and_outcomes() -> None:
    by, draw = watched("1", is_profiled=False), random.Random(1)
    entries = [entry(draw, by, NOON) for _ in range(50)]
    Log(draw).commit(entries, NOON)
    tell((one, one.response) for one in entries[:20])
    folded()
    found = totals(by)
    assert (found.whole["requests"], found.whole["labelled"], found.whole["correct"]) == (50, 20, 20)
    assert found.labels is not None
    assert found.labels.sum() == 50
    assert (found.features, found.slices, found.scores, found.estimate) == ({}, {}, None, None)
    assert found.outcomes.metrics()["rows"] == 20  # type: ignore[union-attr]


def test_rows_of_a_batch_job_count_but_their_latencies_do_not() -> None:
    by, draw = watched("1"), random.Random(1)
    entries = [entry(draw, by, NOON, job_id=7 if at % 2 else None) for at in range(50)]
    Log(draw).commit(entries, NOON)
    folded()
    found = totals(by)
    assert (found.whole["requests"], found.whole["batched"]) == (50, 25)
    assert found.latencies is not None
    assert found.latencies.count == 25


def test_the_sum_of_the_parts_is_the_whole_whatever_the_cut() -> None:
    """A week of one algorithm in three ranges that follow each other."""
    by, draw = watched("1"), random.Random(2)
    log = Log(draw)
    for hour in range(0, 200, 3):
        moment = NOON + hour * HOUR
        log.commit([entry(draw, by, moment) for _ in range(draw.randint(1, 9))], moment)
    folded()
    everything = Range.of(NOON, NOON + 200 * HOUR)
    cuts = [NOON, NOON + 31 * HOUR, NOON + 150.5 * HOUR, NOON + 200 * HOUR]
    total = readings.merged([by.pk], everything)[by.pk].whole["requests"]
    assert total == MLRequest.objects.count()
    parts = [Range.of(cuts[0], cuts[1]), Range.of(cuts[1], cuts[2].replace(minute=0)), Range.of(cuts[2], cuts[3])]
    assert sum(readings.merged([by.pk], part)[by.pk].whole["requests"] for part in parts) == total
    for hours in (1, 24, 168):
        steps = courses.steps(subjects.found([by.pk]), everything, hours)
        assert sum(step.figures[by.pk]["requests"] for step in steps) == total
        assert [step.begins_at for step in steps] == sorted({step.begins_at for step in steps})
    ids = {UUID(one.hex) for one in MLRequest.objects.values_list("pk", flat=True)}
    assert len(ids) == total
