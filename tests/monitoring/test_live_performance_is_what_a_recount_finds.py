"""`GET endpoints/{name}/metrics` says what pandas and scikit-learn find in all rows of the log."""

from __future__ import annotations

import json
import random
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from asked import Asker
from homes import REPOSITORY
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, mean_absolute_error, roc_auc_score
from traffic import BINARY, COLOURS, HOUR, NOON, PRICES, Log, entry, folded, outcome, prediction, row, tell, watched

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.endpoints.models import Feedback, MLAlgorithm, MLRequest

sys.path.append(str(REPOSITORY / "tests" / "accounts"))

from hostile_queries import VALUES

pytestmark = pytest.mark.django_db
RANGE: dict[str, Any] = {"from_": "2026-03-04T12:00:00Z", "to": "2026-03-04T20:00:00Z"}
ROWS = 1_200


@pytest.fixture
def three() -> list[MLAlgorithm]:
    """Algorithms of each kind, and what people have asked of them within eight hours, 30 % with outcomes."""
    made = [watched("1", BINARY), watched("2", COLOURS), watched("3", PRICES)]
    draw = random.Random(3)
    told = []
    log = Log(draw)
    for begin in range(0, ROWS, 100):
        entries = []
        for at in range(begin, begin + 100):
            by = draw.choice(made)
            answered = prediction(draw, by.signature["labels"])
            one = entry(draw, by, NOON + timedelta(minutes=480 * at / ROWS), row(draw), answered)
            if draw.random() < 0.1:
                one = one._replace(outcome="internal", response=None, probability=None, full_response='{"error": {}}')
            elif draw.random() < 0.3:
                told.append((one, outcome(draw, answered)))
            entries.append(one)
        log.commit(entries, NOON + timedelta(minutes=480 * (begin + 100) / ROWS))
    tell(told)
    tell((one, "yes" if value == "no" else "no") for one, value in told if value in ("yes", "no"))
    folded()
    return made


def logged(by: MLAlgorithm) -> pd.DataFrame:
    """All requests of an algorithm, with the first outcome that was told of each."""
    frame = pd.DataFrame(MLRequest.objects.filter(parent_mlalgorithm=by).values())
    first: dict[Any, Any] = {}
    for told in Feedback.objects.order_by("pk"):
        first.setdefault(told.request_id, told.value)
    frame["value"] = frame["id"].map(first)
    return frame.join(pd.DataFrame(frame["input_data"].map(json.loads).tolist()))


def test_counts_are_equal_and_figures_within_a_billionth(three: list[MLAlgorithm]) -> None:
    found = Asker().get("endpoints/demo/metrics", **RANGE, slices="job,member")
    assert (found["from"], found["to"]) == ("2026-03-04T12:00:00Z", "2026-03-04T20:00:00Z")
    assert found["folded"] == {"is_current": True, "behind_s": 0.0}
    told = {one["id"]: one for one in found["algorithms"]}
    for by in three:
        frame, one = logged(by), told[by.pk]
        assert (one["version"], one["requests"]) == (by.version, len(frame))
        failed = frame[frame["outcome"] != "ok"]
        assert one["errors"] == {"internal": len(failed)}
        assert one["error_rate"]["value"] == pytest.approx(len(failed) / len(frame), abs=1e-12)
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            exact = np.quantile(frame["latency_us"], q, method="inverted_cdf")
            assert one["latency_us"][name] == pytest.approx(exact, rel=one["latency_us"]["relative_error"])
        assert one["latency_us"]["mean"] == pytest.approx(frame["latency_us"].mean(), rel=1e-12)
        labelled = frame[frame["value"].notna() & (frame["outcome"] == "ok")]
        assert one["feedback"]["labelled"] == len(labelled)
        assert one["feedback"]["coverage"]["value"] == pytest.approx(len(labelled) / (len(frame) - len(failed)))
        missing = {feature["name"]: feature["missing"] for feature in one["features"]}
        assert missing["age"] == pytest.approx(frame["age"].isna().mean(), abs=1e-12)
        assert missing["job"] == pytest.approx(frame["job"].isna().mean(), abs=1e-12)


def test_the_binary_classifier_is_as_right_as_scikit_learn_says(three: list[MLAlgorithm]) -> None:
    frame = logged(three[0])
    (one,) = Asker().get("endpoints/demo/metrics", **RANGE, version="1", slices="job,member,age")["algorithms"]
    said = frame[frame["outcome"] == "ok"]
    counts = said["response"].value_counts()
    assert {label["label"]: label["count"] for label in one["labels"]} == counts.to_dict()
    chosen = said[said["value"].notna()]
    true, chance = (chosen["value"] == "yes").astype(int), chosen["probability"].astype(float)
    performance = one["performance"]
    for name, expected in (
        ("accuracy", accuracy_score(chosen["value"], chosen["response"])),
        ("log_loss", log_loss(true, chance)),
        ("brier", brier_score_loss(true, chance)),
    ):
        assert performance[name]["value"] == pytest.approx(expected, abs=1e-9)
        assert performance[name]["low"] < performance[name]["value"] < performance[name]["high"]
    f1 = {label["label"]: label["f1"]["value"] for label in performance["labels"]}
    assert f1["yes"] == pytest.approx(f1_score(chosen["value"], chosen["response"], pos_label="yes"), abs=1e-9)
    area = roc_auc_score(true, chance)
    assert abs(performance["roc_auc"]["value"] - area) <= performance["roc_auc_error"] + 1e-9
    profile = three[0].reference_profile
    assert profile is not None
    assert one["reference"]["accuracy"] == profile["metrics"]["accuracy"]
    assert one["estimate"]["is_estimate"] is True
    assert "concept drift" in one["estimate"]["note"]
    assert one["estimate"]["rows"] == len(said)
    sliced = {feature["feature"]: feature for feature in one["slices"]}
    for feature in ("job", "member"):
        by_value = chosen.groupby(chosen[feature].astype(object).where(chosen[feature].notna(), None), dropna=False)
        expected = {
            (None if value is None or value != value else {True: "true", False: "false"}.get(value, value)): (
                len(its),
                accuracy_score(its["value"], its["response"]),
            )
            for value, its in by_value
        }
        found = {part["value"]: (part["rows"], part["accuracy"]["value"]) for part in sliced[feature]["slices"]}
        assert found.keys() == expected.keys()
        for value, (rows, accuracy) in expected.items():
            assert found[value][0] == rows
            assert found[value][1] == pytest.approx(accuracy, abs=1e-12)
    assert sliced["age"] == {"feature": "age", "unavailable": "The feature is a number."}
    assert one["detector"]["state"] == "watching"
    assert one["detector"]["labelled"] == len(chosen)


def test_the_regression_is_as_far_off_as_scikit_learn_says(three: list[MLAlgorithm]) -> None:
    frame = logged(three[2])
    chosen = frame[(frame["outcome"] == "ok") & frame["value"].notna()]
    (one,) = Asker().get("endpoints/demo/metrics", **RANGE, version="3", slices="job,colour")["algorithms"]
    said, true = chosen["response"].astype(float), chosen["value"].astype(float)
    assert one["performance"]["mae"]["value"] == pytest.approx(mean_absolute_error(true, said), abs=1e-9)
    assert (one["labels"], one["estimate"]) == (None, None)
    scores = one["scores"]
    assert (
        sum(scores["counts"]) + scores["below"] + scores["above"] + scores["null"] == (frame["outcome"] == "ok").sum()
    )
    jobs, colour = one["slices"]
    for part in jobs["slices"]:
        its = chosen[chosen["job"].isna() if part["value"] is None else chosen["job"] == part["value"]]
        assert part["mae"]["value"] == pytest.approx(mean_absolute_error(its["value"], its["response"].astype(float)))
    assert colour["unavailable"] == "The algorithm has no feature of this name."


def test_a_series_adds_up_to_the_whole(three: list[MLAlgorithm]) -> None:
    asker = Asker()
    for by, steps in (("hour", 8), ("day", 1)):
        found = asker.get("endpoints/demo/metrics", **RANGE, by=by)
        assert len(found["series"]) == steps
        for one in found["algorithms"]:
            of_it = [part for step in found["series"] for part in step["algorithms"] if part["id"] == one["id"]]
            assert sum(part["requests"] for part in of_it) == one["requests"]
            assert sum(part["labelled"] for part in of_it) == one["feedback"]["labelled"]


def test_slices_are_those_of_the_settings_unless_others_are_named(three: list[MLAlgorithm]) -> None:
    endpoints.describe(three[0].parent_endpoint, actor="ann", settings={"slices": ["member", "job", "member"]})
    asker = Asker()
    found = asker.get("endpoints/demo/metrics", **RANGE)["algorithms"][0]
    assert [one["feature"] for one in found["slices"]] == ["member", "job"]
    assert asker.get("endpoints/demo/metrics", **RANGE, slices="")["algorithms"][0]["slices"] == []


def test_what_nobody_asked_in_the_range_is_not_there_and_no_feedback_is_null(three: list[MLAlgorithm]) -> None:
    asker = Asker()
    assert asker.get("endpoints/demo/metrics")["algorithms"] == []
    draw = random.Random(8)
    Log(draw).commit([entry(draw, three[0], NOON + 30 * HOUR) for _ in range(5)], NOON + 30 * HOUR)
    assert asker.get("endpoints/demo/metrics", **RANGE)["folded"]["is_current"] is False
    folded()
    (one,) = asker.get("endpoints/demo/metrics", from_="2026-03-05", to="2026-03-06")["algorithms"]
    assert (one["requests"], one["performance"], one["feedback"]["labelled"]) == (5, None, 0)
    assert one["reference"] is not None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from_": "noon"}, 422, "invalid_input"),
        ({"from_": "2026-03-04T12:00:00"}, 422, "invalid_input"),
        ({"from_": "2026-02-30"}, 422, "invalid_input"),
        ({"from_": "2026-03-05", "to": "2026-03-04"}, 422, "invalid_input"),
        ({"from_": "2020-01-01", "to": "2026-03-04"}, 422, "invalid_input"),
        ({"from_": "9999-12-31T23:30:00Z", "to": "9999-12-31T23:59:59Z"}, 422, "invalid_input"),
        ({"from_": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, 422, "invalid_input"),
        ({"to": "0001-01-01T00:00:00+14:00"}, 422, "invalid_input"),
        ({"by": "minute"}, 422, "invalid_input"),
        ({"from_": "2026-01-01", "to": "2026-03-04", "by": "hour"}, 422, "invalid_input"),
        ({"slices": ",".join(map(str, range(30)))}, 422, "invalid_input"),
        ({"version": "9"}, 404, "not_found"),
        ({"limit": "3"}, 400, "unknown_parameter"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(query: dict[str, str], status: int, code: str) -> None:
    watched("1")
    assert Asker().refusal("endpoints/demo/metrics", **query) == (status, code)


def test_another_teams_endpoint_does_not_exist() -> None:
    watched("1")
    rivals = Asker(of=teams.create("rivals", {}, actor="tests"))
    for route in ("metrics", "drift"):
        assert rivals.refusal(f"endpoints/demo/{route}") == (404, "not_found")
        assert Asker("predict").refusal(f"endpoints/demo/{route}") == (403, "forbidden")


@pytest.mark.parametrize("route", ["metrics", "drift"])
def test_whatever_strangers_write_into_a_query_is_refused_or_finds_nothing(route: str) -> None:
    watched("1")
    asker = Asker()
    for name in ("from_", "version", "slices", "before"):
        for payload in VALUES:
            reply = asker.reply(f"endpoints/demo/{route}", **{name: unquote(payload, errors="replace")})
            assert reply.status_code in (200, 400, 404, 422), (name, payload, reply.status_code)
