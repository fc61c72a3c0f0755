"""While a job that somebody asked for is being done, folding rests; but not where windows are late."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction
from traffic import NOON, Log, entry, sums, watched

from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.monitoring import folding
from ml_pipeline.apps.monitoring.apps import FOLDING

pytestmark = pytest.mark.django_db


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was rested, of passes of one commit each that take a second by their clock."""
    found: list[float] = []
    ticks = iter(range(1_000))
    monkeypatch.setattr(folding, "MOST_COMMITS", 1)
    monkeypatch.setattr(folding, "LOOK_AT_MOST_S", 1_000.0)
    monkeypatch.setattr(folding, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    monkeypatch.setattr(Lease, "rest", lambda self, seconds: found.append(seconds))
    return found


def asked_for() -> Lease:
    """A job that somebody waits for, and that is being done."""
    with transaction.atomic():
        jobs.ask("batches.scoring", "7")
    lease = leases.claim(["batches.scoring"], "tests")
    assert lease is not None
    return lease


def logged(commits: int, age: timedelta) -> None:
    draw, by = random.Random(1), watched()
    log, moment = Log(draw), clock.now() - age
    for _ in range(commits):
        log.commit([entry(draw, by, NOON)], moment)


def fold() -> None:
    jobs.stand([FOLDING])
    lease = leases.claim([FOLDING], "tests")
    assert lease is not None
    assert folding.work(lease) == folding.LOOK_S
    lease.postpone(0.0)


def test_it_rests_several_times_as_long_as_a_pass_took(rests: list[float]) -> None:
    asked_for()
    logged(5, timedelta(seconds=3))
    fold()
    assert rests == [folding.REST] * 5
    assert sums("requests") == {NOON: 5}


def test_it_does_not_rest_where_nobody_waits(rests: list[float]) -> None:
    asked_for().finish()
    logged(5, timedelta(seconds=3))
    fold()
    assert rests == []


def test_it_does_not_rest_where_windows_are_late(rests: list[float]) -> None:
    asked_for()
    logged(5, timedelta(seconds=folding.MOST_BEHIND_S + 10))
    fold()
    # After the last one nothing is late any more.
    assert rests == [folding.REST]
    assert sums("requests") == {NOON: 5}


def test_a_worker_that_is_to_stop_rests_no_longer() -> None:
    stopped = threading.Event()
    jobs.stand([FOLDING])
    lease = leases.claim([FOLDING], "tests", stopped=stopped)
    assert lease is not None
    threading.Timer(0.05, stopped.set).start()
    begun = time.monotonic()
    lease.rest(600.0)
    assert time.monotonic() - begun < 300.0
