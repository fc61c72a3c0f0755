"""From a breach to a webhook at a real server, and from the recovery to the next; each comes once."""

from __future__ import annotations

import json

import pytest
import verified
from listeners import Listener
from registered import algorithm
from told import Clock, Worker, receiver

from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import alert_rounds, alert_rules
from ml_pipeline.apps.monitoring.apps import ALERTS
from ml_pipeline.apps.monitoring.models import Window

pytestmark = pytest.mark.django_db
EMPTY = {
    "traffic": '{"errors": {}, "latencies": null}',
    "performance": "{}",
    "features": '{"features": {}, "scores": null, "labels": null}',
    "slices": "{}",
}


def round_made() -> None:
    jobs.stand([ALERTS])
    lease = leases.claim([ALERTS], "tests")
    assert lease is not None
    alert_rounds.work(lease)
    lease.postpone(0.0)


def test_a_breach_and_its_recovery_are_posted(listener: Listener) -> None:
    by = algorithm("1")
    statuses.promote(by, actor="tests")
    one, secret = receiver(listener.url, "alert.*")
    worker = Worker(Clock())
    about = {"name": "silent", "measure": "requests", "condition": "below", "threshold": 5.0}
    rule = alert_rules.create(by.parent_endpoint, about, actor="user:ann")
    for requests in (0, 0, 7, 7):
        hour = clock.now().replace(minute=0, second=0, microsecond=0)
        Window.objects.all().delete()
        if requests:
            Window.objects.create(parent_mlalgorithm=by, hours=1, begins_at=hour, requests=requests, **EMPTY)
        round_made()
        worker.run(one, 60)
    opened, recovered = (json.loads(body) for body in listener.bodies)
    assert (opened["type"], recovered["type"]) == ("alert.opened", "alert.recovered")
    assert (opened["endpoint"], opened["actor"]) == ("demo", "monitoring")
    assert opened["subject"] == "silent: requests is 0, the rule says below 5"
    assert recovered["subject"] == "silent: requests is 7, the rule says below 5"
    assert opened["details"]["rule"] == recovered["details"]["rule"] == rule.pk
    assert opened["details"]["alert"] == recovered["details"]["alert"]
    assert (recovered["details"]["closing_value"], recovered["details"]["outcome"]) == (7, "recovered")
    for request in listener.received:
        verified.verify(secret, request.headers, request.body, int(worker.clock.now.timestamp()))
