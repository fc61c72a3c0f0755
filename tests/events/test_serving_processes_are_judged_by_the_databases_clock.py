"""Who serves which revision, and who is live, whatever the clocks of the processes say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from homes import Home
from pytest_django import DjangoDbBlocker

from ml_pipeline.apps.events import processes
from ml_pipeline.apps.events.models import ServingProcess
from ml_pipeline.apps.events.processes import Serving


@pytest.fixture(autouse=True)
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Rows that are really committed: nobody waits inside a transaction. Tidied up, and no other table emptied."""
    with django_db_blocker.unblock():
        yield
        if processes._own.process is not None:
            processes.remove(processes._own.process)
        ServingProcess.objects.all().delete()


# What a process on a machine with a wrong clock does, between two whose clock is right.
OFF = """
import datetime, time, uuid
import django
django.setup()
from django.utils import timezone
from ml_pipeline.apps.events import processes
from ml_pipeline.apps.events.models import ServingProcess
true_time, true_now = time.time, timezone.now
for hours in (-2, 0, 2):
    time.time = lambda: true_time() + hours * 3600
    timezone.now = lambda: true_now() + datetime.timedelta(hours=hours)
    processes.report(uuid.uuid4(), revision=hours)
    print(processes.live().count(), processes.await_revision(0, 0))
ServingProcess.objects.update(seen_at=processes.DatabaseNow() - datetime.timedelta(seconds=processes.LIVE_S + 1))
print(processes.live().count())
ServingProcess.objects.filter(revision=2).update(seen_at=processes.DatabaseNow() - datetime.timedelta(days=2))
processes.report(uuid.uuid4(), revision=3)
print(sorted(ServingProcess.objects.values_list("revision", flat=True)), processes.live().get().revision)
"""


def seen_ago(process: UUID, seconds: float) -> None:
    moment = processes.DatabaseNow() - timedelta(seconds=seconds)
    assert ServingProcess.objects.filter(pk=process).update(seen_at=moment) == 1


def reported(revision: int) -> UUID:
    process = uuid4()
    processes.report(process, revision=revision)
    return process


def test_a_process_has_one_row_which_follows_it_and_goes_with_it() -> None:
    process = reported(3)
    processes.report(process, revision=4)
    row = ServingProcess.objects.get()
    assert (row.pk, row.pid, row.revision, bool(row.host)) == (process, os.getpid(), 4, True)
    assert abs(row.seen_at - timezone.now()) < timedelta(seconds=5)
    processes.remove(process)
    processes.remove(process)
    assert not ServingProcess.objects.exists()


def test_who_was_not_seen_for_a_while_is_not_live_and_is_back_with_its_next_report() -> None:
    process = reported(1)
    seen_ago(process, processes.LIVE_S - 1)
    assert processes.live().count() == 1
    seen_ago(process, processes.LIVE_S + 1)
    assert processes.live().count() == 0
    processes.report(process, revision=1)
    assert processes.live().count() == 1


def test_the_long_dead_are_removed_by_the_next_that_comes() -> None:
    dead, resting = reported(1), reported(2)
    seen_ago(dead, 25 * 3600)
    seen_ago(resting, 23 * 3600)
    reported(3)
    assert sorted(ServingProcess.objects.values_list("revision", flat=True)) == [2, 3]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_clocks_that_are_hours_off_make_no_difference(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    home = Home(tmp_path / "home", request.getfixturevalue("postgres_url") if database == "postgresql" else "").make()
    assert home.python(OFF).splitlines() == [
        "1 Serving(serving=0, live=1)",
        "2 Serving(serving=1, live=2)",
        "3 Serving(serving=2, live=3)",
        "0",
        "[-2, 0, 3] 3",
    ]


# Databases are set up for tests with this mark only; one is enough, and the others must not be in a transaction.
@pytest.mark.django_db
def test_on_mysql_the_clock_knows_no_summer_time() -> None:
    compiler = ServingProcess.objects.all().query.get_compiler("default")
    assert processes.DatabaseNow().as_mysql(compiler, connection)[0] == "UTC_TIMESTAMP(6)"


class Clock:
    """A clock that goes on only when somebody sleeps; `then` is done in the first sleep that ends after `at_s`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.then = lambda: None
        self.at_s = float("inf")

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= processes.LOOK_INTERVAL_S
        self.now_s += seconds
        if self.now_s >= self.at_s:
            self.at_s = float("inf")
            self.then()


def awaited(revision: int, seconds: float, clock: Clock) -> Serving:
    return processes.await_revision(revision, seconds, clock=clock, sleep=clock.sleep)


def test_where_nobody_serves_nobody_is_waited_for() -> None:
    clock = Clock()
    assert awaited(7, 60, clock) == (0, 0)
    assert clock.now_s == 0


def test_the_wait_ends_with_the_last_of_those_that_follow() -> None:
    clock = Clock()
    reported(7)
    late = reported(6)
    clock.at_s, clock.then = 3.0, lambda: processes.report(late, revision=9)
    assert awaited(7, 60, clock) == (2, 2)
    assert clock.now_s == pytest.approx(3, abs=0.1)


def test_the_wait_ends_with_the_time_and_says_how_many_follow() -> None:
    clock = Clock()
    for revision in (7, 8, 6):
        reported(revision)
    found = awaited(7, 1.234, clock)
    assert (found, found.is_everywhere) == ((2, 3), False)
    assert clock.now_s == pytest.approx(1.234)
    assert awaited(7, 0, Clock()) == (2, 3)


def test_who_leaves_and_who_comes_meanwhile_is_counted() -> None:
    clock = Clock()
    leaving = reported(6)

    def change() -> None:
        processes.remove(leaving)
        reported(7)

    clock.at_s, clock.then = 1.0, change
    assert awaited(7, 60, clock) == (1, 1)


def test_who_is_late_for_a_report_is_waited_for_until_he_is_clearly_dead() -> None:
    reported(7)
    late = reported(6)
    seen_ago(late, 12)
    assert awaited(7, 0, Clock()) == (1, 2)
    seen_ago(late, processes.LIVE_S + 1)
    assert awaited(7, 0, Clock()) == (1, 1)


def entered(revision: int, clock: Clock) -> UUID:
    """This very process serves."""
    process = uuid4()
    processes.enter(process, clock=clock)
    processes.report(process, revision=revision)
    return process


def test_a_process_that_serves_counts_itself_whether_or_not_its_row_is_there() -> None:
    clock = Clock()
    own = entered(6, clock)
    ServingProcess.objects.all().delete()
    found = awaited(7, 1, clock)
    assert (found, found.is_everywhere) == ((0, 1), False)
    processes.report(own, revision=7)
    assert awaited(7, 1, clock) == (1, 1)
    processes.remove(own)
    assert awaited(7, 1, clock) == (0, 0)


def test_after_a_stall_of_the_database_those_that_were_live_before_have_their_time_again() -> None:
    clock = Clock()
    own, other = entered(6, clock), reported(6)
    dead = reported(6)
    clock.now_s += 100
    for process, seconds in ((own, 100), (other, 102), (dead, 102 + processes.LIVE_S)):
        seen_ago(process, seconds)
    # The database answers again, and nobody was heard yet.
    assert awaited(7, 0, clock) == (0, 2)
    processes.report(own, revision=7)
    assert awaited(7, 0, clock) == (1, 2)
    # Whoever is not heard in that time is dead.
    clock.now_s += processes.LIVE_S
    seen_ago(other, 102 + processes.LIVE_S)
    assert awaited(7, 0, clock) == (1, 1)


def test_nobody_waits_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        processes.await_revision(1, 0)


def test_the_pause_between_looks_is_short_beside_what_people_wait_for() -> None:
    reported(6)
    begun = time.monotonic()
    assert processes.await_revision(7, 0.01) == (0, 1)
    assert time.monotonic() - begun < 5
