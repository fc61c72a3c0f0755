"""Real workers on a real database: one that is killed while it sends loses nothing, and its successor sends again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from homes import REPOSITORY, Home
from listeners import Answer, Listener, Received, listening
from servers import wait_until

EVENTS = 5
# A lease of a second: the successor need not be waited for.
_WORKER = """
import django
django.setup()
from ml_pipeline.apps.jobs.worker import Worker
Worker(lease_s=1, look_s=0.05).run()
"""
_RECEIVER = """
import django
django.setup()
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.events import receivers
from ml_pipeline.apps.events.receivers import Place
team = Team.objects.get().pk
receivers.create(Place(team), "webhook", {{"address": {url!r}, "events": ["tag.*"]}}, actor="tests")
"""
_EVENTS = f"""
import django
django.setup()
from django.db import transaction
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.events import audit
team = Team.objects.get().pk
for number in range({EVENTS}):
    with transaction.atomic():
        audit.record("tag.put", str(number), actor="tests", team_id=team, endpoint_id=1)
"""
_STATES = """
import django, json
django.setup()
from ml_pipeline.apps.events.models import Delivery
print(json.dumps(list(Delivery.objects.order_by("pk").values_list("state", flat=True))))
"""
# What is over is swept away by the database's clock; a deleted receiver's whatever its age.
_SWEPT = """
import django
django.setup()
from datetime import timedelta
from django.db import transaction
from ml_pipeline.apps.events import clock, receivers, sweeps
from ml_pipeline.apps.events.models import Delivery, Receiver
from ml_pipeline.apps.jobs import jobs, leases
one, now = Receiver.objects.get(), clock.now()
receivers.rotate(one.pk, actor="tests")
one.refresh_from_db()
assert len(receivers.salts(one, now)) == 2
assert len(receivers.salts(one, now + timedelta(hours=25))) == 1
assert receivers.retry(Delivery.objects.order_by("pk")[0].pk, actor="tests").state == "queued"
with transaction.atomic():
    jobs.ask("events.sweep", "")
lease = leases.claim(["events.sweep"], "tests")
sweeps.sweep(lease, now)
assert Delivery.objects.count() == %d
sweeps.sweep(lease, now + timedelta(days=31))
assert Delivery.objects.count() == 1
receivers.remove(one.pk, actor="tests")
assert sweeps.sweep(lease, now) is None
assert not Delivery.objects.exists()
"""


class Allowing(Home):
    """Its webhooks may go to loopback."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "ML_PIPELINE_WEBHOOK_ALLOW": "127.0.0.1"}


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """With nothing but the tables, on each database."""
    fixture = {"postgresql": "postgres_url", "mysql": "mysql_url"}.get(request.param)
    url = request.getfixturevalue(fixture) if fixture else ""
    return Allowing(tmp_path / "home", url).make()


@contextmanager
def working(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, killed at the end at the latest."""
    process = subprocess.Popen([sys.executable, "-c", _WORKER], env=home.environment, cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def subjects(listener: Listener) -> list[str]:
    return [json.loads(body)["subject"] for body in listener.bodies]


def test_what_was_being_sent_is_sent_again_and_the_rest_follows(home: Home) -> None:
    killed, met = threading.Event(), threading.Event()

    def answers(request: Received) -> Answer | None:
        # The third is taken, but its worker does not live to hear so.
        if json.loads(request.body)["subject"] == "2" and not killed.is_set():
            met.set()
            killed.wait(120)
            return None
        return Answer(200)

    with listening() as listener:
        listener.answers = answers
        home.python(_RECEIVER.format(url=listener.url))
        home.python(_EVENTS)
        with working(home) as first:
            assert met.wait(120)
            first.kill()
            first.wait()
        killed.set()
        with working(home):
            wait_until(lambda: str(EVENTS - 1) in subjects(listener), 120)
            wait_until(lambda: json.loads(home.python(_STATES)) == ["delivered"] * EVENTS, 120, pause_s=1)
    # In their order; on a machine that is so busy that a lease runs out, others may have come twice as well.
    assert list(dict.fromkeys(subjects(listener))) == ["0", "1", "2", "3", "4"]
    first_try, second_try = [one for one in listener.received if json.loads(one.body)["subject"] == "2"][:2]
    assert (first_try.headers["webhook-id"], first_try.body) == (second_try.headers["webhook-id"], second_try.body)
    home.python(_SWEPT % EVENTS)
