"""While a large job is done on the machine, folding rests after each pass; but not where windows are late."""

from __future__ import annotations

import random
import socket
import threading
import time
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from django.db import transaction
from traffic import NOON, Log, entry, sums, watched

from ml_pipeline.apps.abtests.apps import COUNTING
from ml_pipeline.apps.batches.batches import SCORING
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
    ticks = count()
    monkeypatch.setattr(folding, "MOST_COMMITS", 1)
    monkeypatch.setattr(folding, "LOOK_AT_MOST_S", 1_000.0)
    monkeypatch.setattr(folding, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    monkeypatch.setattr(Lease, "rest", lambda self, seconds: found.append(seconds))
    return found


def at_work(kind: str = SCORING, machine: str | None = None) -> Lease:
    """A worker of this machine, or of another, is at a job of that kind."""
    with transaction.atomic():
        jobs.ask(kind, "7")
    lease = leases.claim([kind], f"{machine or socket.gethostname()}:1", lease_s=600.0)
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
    at_work()
    logged(5, timedelta(seconds=3))
    fold()
    assert rests == [folding.REST] * 5
    assert sums("requests") == {NOON: 5}


def test_it_never_rests_for_long(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    # Passes of a minute: somebody held the lock, or the worker slept.
    monkeypatch.setattr(folding, "time", SimpleNamespace(monotonic=map(float, count(step=60)).__next__))
    at_work()
    logged(2, timedelta(seconds=3))
    fold()
    assert rests == [folding.MOST_REST_S] * 2


def test_it_does_not_rest_once_the_job_is_over(rests: list[float]) -> None:
    at_work().finish()
    logged(5, timedelta(seconds=3))
    fold()
    assert rests == []


@pytest.mark.parametrize(("kind", "machine"), [(COUNTING, None), (SCORING, "another-machine")])
def test_it_does_not_rest_for_jobs_that_leave_the_machine_to_others(
    kind: str, machine: str | None, rests: list[float]
) -> None:
    at_work(kind, machine)
    logged(5, timedelta(seconds=3))
    fold()
    assert rests == []


def test_it_does_not_rest_where_windows_are_late(rests: list[float]) -> None:
    at_work()
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
    begun = time.monotonic()
    lease.rest(0.05)
    assert time.monotonic() - begun >= 0.05
    threading.Timer(0.05, stopped.set).start()
    lease.rest(600.0)
    assert lease.is_unwanted
    assert time.monotonic() - begun < 300.0
