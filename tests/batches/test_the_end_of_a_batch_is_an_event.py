"""A batch that has ended, failed or been cancelled is an event that receivers are told of, written with its end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from registered import algorithm

from ml_pipeline.apps.batches import batches, removal, states
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.batches.states import NoLongerRunning
from ml_pipeline.apps.events import receivers
from ml_pipeline.apps.events.models import Delivery, Event
from ml_pipeline.apps.events.receivers import Place
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def begun() -> tuple[Lease, BatchJob]:
    """A batch that a worker is at, under an endpoint whose batches somebody is told of."""
    one = algorithm("1")
    place = Place(one.parent_endpoint.team_id, one.parent_endpoint_id)
    wanted = {"address": "https://hooks.example.org/", "events": ["batch.*"]}
    receivers.create(place, "webhook", wanted, actor="ann")  # type: ignore[arg-type]
    job = batches.create(
        ContentFile(b"x\n1\n"), one, Asked("some.csv", Format.CSV, Format.CSV), actor="user:ann", key_id=None
    )
    lease = leases.claim([batches.SHORT], "a worker")
    assert lease is not None
    states.begin(lease, job)
    return lease, job


def told() -> list[str]:
    """What receivers were told, in its order."""
    return list(Delivery.objects.order_by("pk").values_list("action", flat=True))


def test_its_success_says_how_many_rows_there_were(begun: tuple[Lease, BatchJob]) -> None:
    lease, job = begun
    BatchJob.objects.filter(pk=job.pk).update(rows_total=10, rows_done=10, rows_rejected=2)
    states.succeed(lease, job, 100)
    assert job.state == "succeeded"
    assert told() == ["batch.created", "batch.ended"]
    payload = json.loads(Delivery.objects.get(action="batch.ended").payload)
    assert (payload["subject"], payload["actor"]) == (str(job), f"batch:{job.pk}")
    assert (payload["team"], payload["endpoint"]) == ("default", job.parent_endpoint.name)
    details = {"batch": job.pk, "asked_by": "user:ann", "rows": 10, "rejected": 2}
    assert payload["details"] == {"endpoint": job.parent_endpoint.name, **details}


def test_its_failure_says_why(begun: tuple[Lease, BatchJob]) -> None:
    lease, job = begun
    states.fail(lease, job, "line 7 is no row\0")
    assert told() == ["batch.created", "batch.failed"]
    assert Event.objects.get(action="batch.failed").details["error"] == "line 7 is no row?"


def test_who_gives_it_up_says_so_too(begun: tuple[Lease, BatchJob]) -> None:
    lease, _ = begun
    lease.fail("no space left")
    Job.objects.filter(kind=batches.SHORT).update(state="failed")
    Job.objects.filter(kind=removal.CLEANING).update(due_at=timezone.now() - timedelta(seconds=1))
    cleaning = leases.claim([removal.CLEANING], "a worker")
    assert cleaning is not None
    removal.clean(cleaning)
    removal.clean(cleaning)
    assert told() == ["batch.created", "batch.failed"]


def test_a_batch_that_was_cancelled_ends_no_second_time(begun: tuple[Lease, BatchJob]) -> None:
    lease, job = begun
    batches.cancel(job.pk, actor="user:ann")
    for end in (lambda: states.succeed(lease, job, 1), lambda: states.fail(lease, job, "x")):
        with pytest.raises(NoLongerRunning):
            end()
    assert told() == ["batch.created", "batch.cancelled"]
