"""A rule that could never be breached, or says what nobody can mean, is refused with the field named."""

from __future__ import annotations

from typing import Any

import pytest
from registered import OPERATOR
from traffic import COLOURS, PRICES, watched
from watching import Manager, promoted

from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.monitoring.alert_rules import MOST_OF_AN_ENDPOINT

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("measure", "condition", "threshold", "values", "field"),
    [
        ("accuracy", "below", "nan", {}, "threshold"),
        ("accuracy", "below", True, {}, "threshold"),
        ("accuracy", "below", "inf", {}, "threshold"),
        ("accuracy", "below", 0.0, {}, "threshold"),
        ("accuracy", "above", 1.0, {}, "threshold"),
        ("accuracy", "below", 80, {}, "threshold"),
        ("requests", "below", 0, {}, "threshold"),
        ("latency_p99_us", "below", -1, {}, "threshold"),
        ("r2", "above", 1.0, {}, "threshold"),
        ("accuracy", "below", 0.8, {"recovers_at": 0.7}, "recovers_at"),
        ("error_rate", "above", 0.1, {"recovers_at": 0.2}, "recovers_at"),
        ("error_rate", "above", 0.1, {"recovers_at": -0.1}, "recovers_at"),
        ("accuracy", "below", 0.8, {"window_hours": 0}, "window_hours"),
        ("accuracy", "below", 0.8, {"window_hours": 169}, "window_hours"),
        ("requests", "below", 5, {"min_rows": 1}, "min_rows"),
        ("accuracy", "below", 0.8, {"min_rows": -1}, "min_rows"),
        ("requests", "below", 5, {"beyond_chance": True}, "beyond_chance"),
        ("accuracy", "beside", 0.8, {}, "condition"),
        ("beauty", "below", 0.8, {}, "measure"),
        ("mae", "above", 5, {}, "measure"),
        ("accuracy", "below", 0.8, {"feature": "age"}, "feature"),
        ("accuracy", "below", 0.8, {"label": "yes"}, "label"),
        ("precision", "below", 0.8, {"label": "maybe"}, "label"),
        ("missing_rate", "above", 0.1, {}, "feature"),
        ("missing_rate", "above", 0.1, {"feature": "height"}, "feature"),
        ("slice_gap", "above", 0.1, {"feature": "age"}, "feature"),
        ("drift_excess", "above", 0.1, {"feature": "height"}, "feature"),
        ("accuracy", "below", 0.8, {"version": "9"}, "version"),
        ("accuracy", "below", 0.8, {"algorithm": "tree"}, "algorithm"),
        ("accuracy", "below", 0.8, {"version": "old"}, "version"),
        ("accuracy", "below", 0.8, {"name": "Bad Name"}, "name"),
        ("accuracy", "below", 0.8, {"unknown": 1}, "unknown"),
    ],
)
def test_what_a_classifier_never_does(
    measure: str, condition: str, threshold: Any, values: dict[str, Any], field: str
) -> None:
    promoted("1")
    statuses.archive(watched("old"), actor=OPERATOR.actor)
    assert Manager().refusal(measure, condition, threshold, **values) == field


def test_what_others_never_do() -> None:
    manager = Manager()
    promoted("1", signature=PRICES)
    assert manager.refusal("accuracy", "below", 0.8) == "measure"
    assert manager.refusal("expected_accuracy", "below", 0.8) == "measure"
    watched("2", signature=COLOURS, is_profiled=False)
    assert manager.refusal("roc_auc", "below", 0.8) == "measure"
    assert manager.refusal("unseen_rate", "above", 0.1, feature="age", version="2") == "measure"
    assert manager.refusal("recall", "below", 0.5, label="purple") == "label"
    # It is right for one of them.
    for measure, more in (("accuracy", {}), ("unseen_rate", {"feature": "age"}), ("recall", {"label": "red"})):
        manager.add(measure, "below", 0.5, name=f"some-{measure.replace('_', '-')}", **more)


def test_of_an_endpoint_without_algorithms_nothing_is_known_yet() -> None:
    manager = Manager()
    assert manager.ask("POST", "endpoints", {"name": "demo"}).status_code == 201
    manager.add("mae", "above", 5)
    assert manager.refusal("accuracy", "below", 0.8, version="1") == "version"


def test_a_change_is_looked_at_as_well() -> None:
    promoted()
    manager = Manager()
    rule = manager.add("accuracy", "below", 0.8, recovers_at=0.85)
    for change, field in (
        ({"threshold": 0.9}, "recovers_at"),
        ({"threshold": 1.5}, "threshold"),
        ({"window_hours": 1_000}, "window_hours"),
        ({"measure": "f1"}, "measure"),
    ):
        reply = manager.ask("PATCH", f"alertrules/{rule['id']}", change)
        assert reply.status_code == 422
        assert reply.json()["error"]["details"][0]["field"] == field
    reply = manager.ask("PATCH", f"alertrules/{rule['id']}", {"threshold": 0.9, "recovers_at": None})
    assert (reply.status_code, reply.json()["threshold"]) == (200, 0.9)


def test_a_rule_of_an_archived_algorithm_can_be_switched_off() -> None:
    by, manager = watched("1"), Manager()
    rule = manager.add("accuracy", "below", 0.8, version="1")
    statuses.archive(by, actor=OPERATOR.actor)
    assert manager.ask("PATCH", f"alertrules/{rule['id']}", {"is_active": False}).status_code == 200


def test_names_are_of_one_rule_and_rules_are_bounded() -> None:
    promoted()
    manager = Manager()
    body = {"endpoint": "demo", "measure": "requests", "condition": "below", "threshold": 1}
    for number in range(MOST_OF_AN_ENDPOINT):
        manager.add("requests", "below", 1, name=f"rule-{number}")
    for name in ("rule-1", "one-more"):
        assert manager.ask("POST", "alertrules", {**body, "name": name}).status_code == 409
    assert manager.ask("POST", "alertrules", {**body, "name": "x", "endpoint": "nobodys"}).status_code == 404
    assert len(manager.get("alertrules")) == MOST_OF_AN_ENDPOINT


def test_a_reader_changes_nothing() -> None:
    promoted()
    rule = Manager().add("accuracy", "below", 0.8)
    reader = Manager("read")
    body = {"endpoint": "demo", "name": "x", "measure": "requests", "condition": "below", "threshold": 1}
    assert reader.ask("POST", "alertrules", body).status_code == 403
    assert reader.ask("PATCH", f"alertrules/{rule['id']}", {"threshold": 0.1}).status_code == 403
    assert reader.ask("DELETE", f"alertrules/{rule['id']}").status_code == 403
    assert reader.get(f"alertrules/{rule['id']}")["threshold"] == 0.8
