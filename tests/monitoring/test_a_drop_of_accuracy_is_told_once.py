"""A drop of accuracy and its recovery are events, each once, and what the API says of an algorithm's accuracy."""

from __future__ import annotations

import random

import pytest
from asked import Asker
from traffic import NOON, Log, entry, folded, tell, watched

from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.monitoring.models import Alarm

pytestmark = pytest.mark.django_db


def events() -> list[tuple[str, str]]:
    """Action and version of what monitoring has found, in order."""
    found = Event.objects.filter(actor="monitoring").order_by("pk")
    return [(one.action, one.details["version"]) for one in found]


def test_a_drop_and_its_recovery_are_told_once() -> None:
    by, other, draw = watched("1"), watched("2"), random.Random(1)
    log = Log(draw)

    def answer(rows: int, right: float) -> None:
        entries = [entry(draw, one, NOON) for one in (by, other) for _ in range(rows)]
        log.commit(entries, NOON)
        wrong = {"yes": "no", "no": "yes"}
        # The other is as right as ever.
        shares = {by.pk: right, other.pk: 0.95}
        tell(
            (one, one.response if draw.random() < shares[one.algorithm_id] else wrong[one.response or "no"])
            for one in entries
        )
        folded()

    def detector() -> dict[str, object]:
        (found,) = Asker().get("endpoints/demo/metrics", from_="2026-03-04", to="2026-03-05", version="1")["algorithms"]
        told: dict[str, object] = found["detector"]
        return told

    answer(500, 0.95)
    assert events() == []
    assert detector() == {"state": "watching", "since": None, "labelled": 500, "alarm": None}
    answer(800, 0.3)
    assert events() == [("accuracy.dropped", "1")]
    folded()
    answer(300, 0.3)
    assert events() == [("accuracy.dropped", "1")]
    (event,) = Event.objects.filter(action="accuracy.dropped")
    alarm = Alarm.objects.get()
    assert event.details["endpoint"] == "demo"
    assert (event.details["labelled"], event.details["of_labels"]) == (alarm.labelled, alarm.of_labels)
    assert event.details["accuracy"] < 0.6 < event.details["reference_accuracy"]
    assert (detector()["state"], detector()["labelled"]) == ("alarmed", 1_600)
    answer(4_000, 1.0)
    assert events() == [("accuracy.dropped", "1"), ("accuracy.recovered", "1")]
    assert detector()["state"] == "watching"
    assert detector()["since"] is not None
