"""How long a test has run is judged by the database's clock, however wrong that of the process is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from logged import answered, folded, started, told

from ml_pipeline.apps.abtests import reports
from ml_pipeline.apps.abtests.models import State

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("off", [timedelta(hours=3), timedelta(hours=-3)], ids=["ahead", "behind"])
def test_a_clock_that_is_off_ends_no_test(monkeypatch: pytest.MonkeyPatch, off: timedelta) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + off)
    test = started(max_time_s=7_200.0)
    assert abs(test.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    told(answered(test, ["yes"] * 20), "yes")
    counted = folded(test)
    assert (counted.state, counted.counted) == (State.RUNNING, 20)
    assert reports.standing(counted)["elapsed_s"] < 300


def test_a_test_that_has_run_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    test = started(max_time_s=7_200.0)
    type(test).objects.filter(pk=test.pk).update(created_at=datetime.now(UTC) - timedelta(hours=2, seconds=1))
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) - timedelta(days=1))
    assert folded(test).state == State.FINISHED
