"""A breach of a rule is one alert, told once when it opens and once when it is over, whatever becomes of its rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from registered import OPERATOR, algorithm
from watching import Manager, Traffic, promoted, round_made, told

from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.monitoring import alert_rounds, alert_rules, currency, sightings

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(db: None) -> Manager:
    return Manager()


def test_a_breach_and_its_recovery_are_told_once(manager: Manager) -> None:
    by, traffic = promoted(), Traffic()
    rule = manager.add("accuracy", "below", 0.8, recovers_at=0.85, name="too-wrong")
    assert (rule["evaluated_at"], rule["standing"], rule["min_rows"], rule["window_hours"]) == (None, [], 100, 24)
    traffic.answer(by, 20, 79)
    round_made()
    assert told() == []
    (seen,) = manager.get(f"alertrules/{rule['id']}")["standing"]
    assert (seen["state"], seen["rows"], seen["version"]) == ("unknown", 99, "1")
    traffic.answer(by, 50, 1)
    for _ in range(2):
        round_made()
    assert told() == ["opened"]
    (alert,) = manager.get("alerts", is_open="true")
    assert alert["value"] == pytest.approx(70 / 150)
    assert (alert["name"], alert["rule"], alert["algorithm"], alert["is_open"]) == (
        "too-wrong",
        rule["id"],
        "model",
        True,
    )
    (seen,) = manager.get(f"alertrules/{rule['id']}")["standing"]
    assert (seen["state"], seen["value"]) == ("alerting", alert["value"])
    assert seen["low"] < seen["value"] < seen["high"]
    # Above the threshold, and not yet where it has recovered.
    traffic.answer(by, 300, 10)
    round_made()
    assert told() == ["opened"]
    traffic.answer(by, 300, 0)
    for _ in range(2):
        round_made()
    assert told() == ["opened", "recovered"]
    closed = manager.get(f"alerts/{alert['id']}")
    assert (closed["outcome"], closed["is_open"], closed["worst"]) == ("recovered", False, alert["value"])
    assert closed["closing_value"] > 0.85
    assert manager.get("alerts", is_open="true") == []
    opened, recovered = Event.objects.filter(action__startswith="alert.").order_by("pk")
    assert opened.subject == "too-wrong: accuracy of model 1 is 0.4667, the rule says below 0.8"
    assert (recovered.details["alert"], recovered.details["endpoint"]) == (alert["id"], "demo")
    assert recovered.details["closing_value"] == closed["closing_value"]


def test_beyond_chance_the_whole_interval_is(manager: Manager) -> None:
    by, traffic = promoted(), Traffic()
    manager.add("accuracy", "below", 0.8, beyond_chance=True, name="sure")
    manager.add("accuracy", "below", 0.8, name="at-once")
    traffic.answer(by, 78, 22)
    round_made()
    assert [one["name"] for one in manager.get("alerts")] == ["at-once"]
    traffic.answer(by, 50, 50)
    round_made()
    assert [one["name"] for one in manager.get("alerts")] == ["sure", "at-once"]


def test_silence_is_noticed_where_nothing_was_ever_asked(manager: Manager) -> None:
    by, traffic = promoted(), Traffic()
    manager.add("requests", "below", 10)
    round_made()
    (alert,) = manager.get("alerts")
    assert (alert["value"], alert["parent_mlalgorithm"], alert["version"]) == (0, None, None)
    traffic.ask(by, 10)
    round_made()
    assert told() == ["opened", "recovered"]
    # A day later, all these hours are past.
    round_made(clock.now() + timedelta(hours=25))
    assert told() == ["opened", "recovered", "opened"]


def test_a_promotion_is_no_silence(manager: Manager) -> None:
    """Volume is the endpoint's, unless the rule names an algorithm."""
    by, traffic = promoted("1"), Traffic()
    traffic.ask(by, 30)
    manager.add("requests", "below", 10)
    promoted("2")
    round_made()
    assert told() == []
    manager.add("requests", "below", 10, name="named", version="2")
    round_made()
    assert [(one["name"], one["version"]) for one in manager.get("alerts")] == [("named", "2")]


def test_fewer_rows_change_nothing(manager: Manager) -> None:
    by, traffic = promoted(), Traffic()
    rule = manager.add("error_rate", "above", 0.1, min_rows=10)
    traffic.ask(by, 20, outcome="internal", response=None, probability=None)
    round_made()
    assert told() == ["opened"]
    round_made(clock.now() + timedelta(hours=25))
    assert told() == ["opened"]
    (seen,) = manager.get(f"alertrules/{rule['id']}")["standing"]
    assert (seen["state"], seen["value"]) == ("alerting", None)


@pytest.mark.parametrize("change", [{"threshold": 0.5}, {"is_active": False}, {"window_hours": 1}, None])
def test_an_alert_whose_rule_changes_is_closed_with_the_reason(
    manager: Manager, change: dict[str, object] | None
) -> None:
    by, traffic = promoted(), Traffic()
    rule = manager.add("accuracy", "below", 0.8)
    traffic.answer(by, 60, 60)
    round_made()
    address = f"alertrules/{rule['id']}"
    for _ in range(2):
        manager.ask("DELETE", address) if change is None else manager.ask("PATCH", address, change)
    assert told() == ["opened", "closed"]
    (alert,) = manager.get("alerts")
    outcomes = {"threshold": "rule_changed", "window_hours": "rule_changed", "is_active": "rule_switched_off"}
    assert alert["outcome"] == ("rule_deleted" if change is None else outcomes[next(iter(change))])
    assert (alert["closing_value"], alert["is_open"], alert["threshold"]) == (None, False, 0.8)
    assert alert["rule"] == (None if change is None else rule["id"])
    round_made()
    # What the rule says now is not breached, or it is and that is another alert.
    again = change == {"window_hours": 1}
    assert told() == ["opened", "closed", *(["opened"] if again else [])]


def test_the_alert_of_an_algorithm_that_serves_no_more_is_closed(manager: Manager) -> None:
    by, traffic = promoted("1"), Traffic()
    manager.add("accuracy", "below", 0.8)
    traffic.answer(by, 60, 60)
    round_made()
    promoted("2")
    round_made()
    assert told() == ["opened", "closed"]
    assert manager.get("alerts")[0]["outcome"] == "algorithm_left"


def test_a_rule_that_names_a_version_watches_it_until_it_is_archived(manager: Manager) -> None:
    by, traffic = promoted("1"), Traffic()
    manager.add("accuracy", "below", 0.8, version="1")
    traffic.answer(by, 60, 60)
    promoted("2")
    round_made()
    assert told() == ["opened"]
    statuses.archive(by, actor=OPERATOR.actor)
    round_made()
    assert told() == ["opened", "closed"]


def test_nothing_is_judged_while_what_came_is_not_counted(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted()
    manager.add("requests", "below", 10)
    monkeypatch.setattr(currency, "behind_s", lambda _: alert_rounds.MOST_BEHIND_S + 1)
    round_made()
    assert told() == []
    monkeypatch.undo()
    round_made()
    assert told() == ["opened"]


def test_an_endpoint_that_is_deleted_takes_its_rules_along(manager: Manager) -> None:
    promoted()
    assert manager.ask("POST", "endpoints", {"name": "empty"}).status_code == 201
    for endpoint in ("empty", "demo"):
        manager.add("requests", "below", 10, endpoint=endpoint)
    round_made()
    round_made(clock.now())
    assert manager.ask("DELETE", "endpoints/empty").status_code == 204
    assert manager.ask("DELETE", "endpoints/demo").status_code == 409
    assert [one["endpoint"] for one in manager.get("alertrules")] == ["demo"]
    assert {one["endpoint"] for one in manager.get("alerts")} == {"demo"}


def test_without_rules_no_worker_takes_the_job() -> None:
    algorithm("1")
    assert not alert_rounds.has_work.__wrapped__()  # type: ignore[attr-defined]
    Manager().add("requests", "below", 1)
    assert alert_rounds.has_work.__wrapped__()  # type: ignore[attr-defined]


def test_a_rule_that_changed_while_it_was_looked_at_is_judged_by_the_next_round(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted()
    rules = [manager.add("requests", "below", 10, name=name) for name in ("changed", "deleted", "as-it-was")]
    real = sightings.found

    def found(*given: Any) -> Any:
        seen = real(*given)
        alert_rules.change(rules[0]["id"], {"threshold": 20.0}, actor="tests")
        alert_rules.remove(rules[1]["id"], actor="tests")
        return seen

    monkeypatch.setattr(sightings, "found", found)
    round_made()
    assert [one["name"] for one in manager.get("alerts")] == ["as-it-was"]
    monkeypatch.undo()
    round_made()
    assert [(one["name"], one["threshold"]) for one in manager.get("alerts")] == [("changed", 20), ("as-it-was", 10)]
