"""A run of whole hours is tested for drift once, when it has 500 rows; what has drifted is named."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from asked import Asker
from django.db.models.functions import Now
from registered import algorithm
from traffic import HOUR, NOON, Log, entry, folded, row, watched

from ml_pipeline.apps.endpoints.models import MLAlgorithm, MLRequest
from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.jobs.leases import LeaseLost
from ml_pipeline.apps.jobs.models import Job
from ml_pipeline.apps.monitoring import drift_windows, notices
from ml_pipeline.apps.monitoring.apps import DRIFT
from ml_pipeline.apps.monitoring.models import DriftTest

pytestmark = pytest.mark.django_db
NEXT_DAY = NOON + timedelta(days=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The database's clock, which the test sets."""
    moment = [NEXT_DAY]
    monkeypatch.setattr("ml_pipeline.apps.events.clock.now", lambda: moment[0])
    return moment


def log(
    by: MLAlgorithm,
    moment: datetime,
    rows: int,
    *,
    older_by: int = 0,
    given: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """So many requests of that hour, of people so many years older than the reference's, all with what is `given`."""
    draw = random.Random(f"{moment} {rows}")
    entries = []
    for _ in range(rows):
        inputs = row(draw) | (given or {})
        if inputs["age"] is not None:
            inputs["age"] += older_by
        entries.append(entry(draw, by, moment + timedelta(seconds=draw.randrange(3_600)), inputs, **changes))
    # Written when the hour is over, and later than whatever else was.
    Log(draw).commit(entries, moment + HOUR)
    folded()


def found_tests() -> list[DriftTest]:
    """All tests, in the order of their windows, after a worker has looked."""
    jobs.stand([DRIFT])
    lease = leases.claim([DRIFT], "tests")
    assert lease is not None
    assert drift_windows.work(lease) == drift_windows.LOOK_S
    lease.postpone(0.0)
    return list(DriftTest.objects.order_by("from_at"))


def test_a_window_closes_with_the_hour_that_brings_the_five_hundredth_row() -> None:
    by = watched()
    log(by, NOON, 300)
    log(by, NOON + 3 * HOUR, 199)
    assert found_tests() == []
    found = Asker().get("endpoints/demo/drift")
    assert found["tests"] == []
    assert found["algorithms"][0]["gathering"] == {"from": "2026-03-04T12:00:00Z", "rows": 499, "needed": 500}
    # Rows that failed or were erased, or whose input was not kept, have no features to be judged.
    log(by, NOON + 4 * HOUR, 50, outcome="internal", response=None, probability=None, full_response="{}")
    assert found_tests() == []
    log(by, NOON + 5 * HOUR, 1)
    (one,) = found_tests()
    assert (one.from_at, one.to_at, one.rows) == (NOON, NOON + 6 * HOUR, 500)
    assert (one.tested, one.is_alarm) == (4, False)
    assert Event.objects.filter(action="drift.found").count() == 0


def test_the_next_window_begins_where_the_last_one_ends() -> None:
    by = watched()
    for at, rows in enumerate((600, 400, 0, 700, 499)):
        log(by, NOON + at * HOUR, rows) if rows else None
    first, second = found_tests()
    assert (first.from_at, first.to_at, first.rows) == (NOON, NOON + HOUR, 600)
    assert (second.from_at, second.to_at, second.rows) == (NOON + HOUR, NOON + 4 * HOUR, 1_100)
    found = Asker().get("endpoints/demo/drift")
    assert [one["from"] for one in found["tests"]] == ["2026-03-04T13:00:00Z", "2026-03-04T12:00:00Z"]
    assert found["algorithms"][0]["gathering"] == {"from": "2026-03-04T16:00:00Z", "rows": 499, "needed": 500}


def test_an_hour_is_over_when_its_grace_is_and_all_of_it_is_folded(clock: list[datetime]) -> None:
    by = watched()
    log(by, NOON, 600)
    clock[0] = NOON + HOUR + drift_windows.GRACE - timedelta(seconds=1)
    assert found_tests() == []
    clock[0] = NOON + HOUR + drift_windows.GRACE
    # A commit of that hour waits to be folded.
    draw = random.Random(1)
    Log(draw).commit([entry(draw, by, NOON) for _ in range(7)], NOON + timedelta(minutes=59))
    assert found_tests() == []
    folded()
    assert [one.rows for one in found_tests()] == [607]


def test_late_rows_are_in_their_hour_and_not_in_its_test() -> None:
    by = watched()
    log(by, NOON, 600)
    before = [(one.rows, one.result) for one in found_tests()]
    log(by, NOON, 900, older_by=30)
    assert [(one.rows, one.result) for one in found_tests()] == before
    # Asked about, the hour is tested as it is now.
    (one,) = Asker().get("endpoints/demo/drift", from_="2026-03-04T12:00:00Z", to="2026-03-04T13:00:00Z")["algorithms"]
    assert (one["state"], one["rows"]) == ("drifted", 1_500)
    assert DriftTest.objects.count() == 1


def test_what_has_drifted_is_named_in_test_event_and_words() -> None:
    by = watched()
    log(by, NOON, 800, older_by=25)
    (one,) = found_tests()
    assert one.is_alarm
    (event,) = Event.objects.filter(action="drift.found")
    assert (event.actor, event.endpoint_id, event.subject) == ("monitoring", by.parent_endpoint_id, "model 1")
    details = event.details
    assert (details["endpoint"], details["version"], details["rows"]) == ("demo", "1", 800)
    assert (details["from"], details["to"]) == ("2026-03-04T12:00:00Z", "2026-03-04T13:00:00Z")
    assert details["drifted_count"] == 1
    (drifted,) = details["drifted"]
    assert drifted["name"] == "age"
    assert drifted["words"].startswith("age: larger than in the reference, ")
    assert drifted["psi"] > drifted["excess"] > 0.1
    assert set(details["expected_accuracy_change"]) == {"value", "low", "high"}
    (told,) = Asker().get("endpoints/demo/drift")["tests"]
    features = {feature["name"]: feature for feature in told["result"]["features"]}
    assert [name for name, feature in features.items() if feature["is_drifted"]] == ["age"]
    assert told["result"]["estimate"]["is_estimate"] is True
    assert told["result"]["estimate"]["reference"]["low"] < told["result"]["estimate"]["reference"]["high"]


def test_of_many_that_drifted_an_event_names_the_farthest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MOST_NAMED", 1)
    log(watched(), NOON, 800, older_by=25, given={"job": "pilot"})
    (one,) = found_tests()
    excess = {each["name"]: each["excess"] for each in json.loads(one.result)["features"] if each["is_drifted"]}
    assert excess.keys() == {"age", "job"}
    (event,) = Event.objects.filter(action="drift.found")
    assert [each["name"] for each in event.details["drifted"]] == [max(excess, key=lambda name: excess[name])]
    assert event.details["drifted_count"] == 2


def test_a_range_of_too_few_rows_has_no_verdict() -> None:
    by = watched()
    algorithm("0")
    log(by, NOON, 499, older_by=25)
    log(watched("2", is_profiled=False), NOON, 900)
    asker = Asker()
    found = asker.get("endpoints/demo/drift", from_="2026-03-04", to="2026-03-05")["algorithms"]
    states = {one["version"]: one for one in found}
    assert states["1"] == states["1"] | {"state": "too_few_rows", "rows": 499, "needed": 500}
    assert "result" not in states["1"]
    assert states["2"]["state"] == "unavailable"
    assert "reference rows" in states["2"]["unavailable"]
    listed = {one["version"]: one for one in asker.get("endpoints/demo/drift")["algorithms"]}
    assert {name for name, one in listed.items() if one["unavailable"]} == {"0", "2"}
    log(by, NOON, 1, older_by=25)
    (one,) = asker.get("endpoints/demo/drift", version="1", from_="2026-03-04", to="2026-03-05")["algorithms"]
    assert (one["state"], one["is_alarm"]) == ("drifted", True)


def test_tests_are_a_list_of_pages() -> None:
    by = watched()
    for hour in range(5):
        log(by, NOON + hour * HOUR, 500)
    assert len(found_tests()) == 5
    asker = Asker()
    first = asker.reply("endpoints/demo/drift", limit=2)
    assert len(first.json()["tests"]) == 2
    assert 'rel="next"' in first["Link"]
    last = first.json()["tests"][-1]["id"]
    assert [one["id"] < last for one in asker.get("endpoints/demo/drift", before=last)["tests"]] == [True] * 3
    assert asker.refusal("endpoints/demo/drift", limit=0) == (422, "invalid_input")
    # A range has no pages.
    assert asker.refusal("endpoints/demo/drift", from_="2026-03-04", limit=2) == (400, "unknown_parameter")


def test_a_worker_that_lost_its_lease_tests_nothing_and_two_test_once() -> None:
    by = watched()
    log(by, NOON, 800, older_by=25)
    jobs.stand([DRIFT])
    slow = leases.claim([DRIFT], "slow")
    assert slow is not None
    # It sleeps past its lease, and another takes the job.
    Job.objects.filter(kind=DRIFT).update(leased_until=Now() - timedelta(seconds=1))
    quick = leases.claim([DRIFT], "quick")
    assert quick is not None
    with pytest.raises(LeaseLost):
        drift_windows.work(slow)
    assert (DriftTest.objects.count(), Event.objects.filter(action="drift.found").count()) == (0, 0)
    for _ in range(2):
        drift_windows.work(quick)
    assert (DriftTest.objects.count(), Event.objects.filter(action="drift.found").count()) == (1, 1)


def test_rows_without_inputs_are_judged_by_their_scores() -> None:
    by = watched()
    log(by, NOON, 600, input_data="null")
    (one,) = found_tests()
    assert (one.rows, one.tested) == (600, 1)
    found = json.loads(one.result)
    assert found["untested"] == ["age", "job", "member"]
    assert found["score"]["rows"] == 600
    assert MLRequest.objects.count() == 600


def test_inputs_that_are_kept_no_longer_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_windows, "MOST_BLIND", 1_200)
    by = watched()
    log(by, NOON, 300)
    log(by, NOON + HOUR, 700, input_data="null")
    assert found_tests() == []
    log(by, NOON + 2 * HOUR, 600, input_data="null")
    (one,) = found_tests()
    assert (one.from_at, one.to_at, one.rows, one.tested) == (NOON, NOON + 3 * HOUR, 1_600, 1)
    assert json.loads(one.result)["untested"] == ["age", "job", "member"]
    log(by, NOON + 3 * HOUR, 500, input_data="null")
    assert [one.rows for one in found_tests()] == [1_600, 500]
