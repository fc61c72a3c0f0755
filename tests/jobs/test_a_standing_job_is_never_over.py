"""A job of a standing kind is there wherever a worker runs, and is tried again however often it failed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ml_pipeline.apps.jobs import handlers, jobs, leases
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.leases import MOST_BACKOFF_S, MOST_FAILURES
from ml_pipeline.apps.jobs.models import Job, State

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What has work, of two kinds of which one stands."""
    having = {"standing"}
    monkeypatch.setattr(handlers, "_handlers", {})
    handlers.register("standing", lambda lease: 1.0, is_standing=True, has_work=lambda: "standing" in having)
    handlers.register("other", lambda lease: 1.0)
    return having


def make_due() -> None:
    Job.objects.update(due_at=DatabaseNow() - timedelta(seconds=1), leased_until=None)


def test_it_is_there_once_and_starts_again_where_it_was_given_up() -> None:
    for _ in range(3):
        jobs.stand(handlers.standing())
    one = Job.objects.get()
    assert (one.kind, one.subject, one.state) == ("standing", "", State.QUEUED)
    # As an older version left it.
    Job.objects.update(state=State.FAILED, failures=MOST_FAILURES)
    jobs.stand(handlers.standing())
    one.refresh_from_db()
    assert (one.state, one.failures) == (State.QUEUED, 0)


def test_it_is_tried_again_however_often_it_failed() -> None:
    jobs.stand(handlers.standing())
    for failures in range(1, 2 * MOST_FAILURES):
        make_due()
        lease = leases.claim(["standing"], "tests")
        assert lease is not None
        lease.fail("why")
        one = Job.objects.annotate(now=DatabaseNow()).get()
        assert (one.state, one.failures) == (State.QUEUED, failures)
        assert one.due_at - one.now <= timedelta(seconds=MOST_BACKOFF_S + 1)


def test_it_is_taken_again_however_often_its_worker_did_not_come_back() -> None:
    jobs.stand(handlers.standing())
    for _ in range(2 * MOST_FAILURES):
        make_due()
        assert leases.claim(["standing"], "tests") is not None
    assert Job.objects.get().state == State.RUNNING


def test_it_is_taken_only_while_it_has_work(kinds: set[str]) -> None:
    assert handlers.kinds() == ["other", "standing"]
    kinds.clear()
    assert handlers.kinds() == ["other"]
