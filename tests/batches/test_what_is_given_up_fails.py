"""What every worker failed at is over in the end: a batch or a feedback file that was given up says that it failed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from registered import algorithm

from ml_pipeline.apps.batches import batches, feedback_files, files, removal, tellings, work
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, FeedbackFile, Format
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db


def claimed(kind: str) -> Lease:
    """The lease of the job of that kind, for which it is time."""
    Job.objects.filter(kind=kind).update(due_at=timezone.now() - timedelta(seconds=1))
    lease = leases.claim([kind], "a worker")
    assert lease is not None
    return lease


def give_up(kind: str) -> None:
    while Job.objects.get(kind=kind).state != "failed":
        claimed(kind).fail("no space left on the device")


def test_a_feedback_file_that_was_given_up_fails_and_its_file_goes() -> None:
    file = feedback_files.create(
        ContentFile(b"request_id,feedback\n"), algorithm("1").parent_endpoint, "labels.csv", actor="ann"
    )
    files.storage().delete(files.input_name(file.uid))
    lease = claimed(feedback_files.TELLING)
    with pytest.raises(FileNotFoundError):
        tellings.work(lease)
    lease.fail("the file is away")
    give_up(feedback_files.TELLING)
    files.storage().save(files.input_name(file.uid), ContentFile(b"request_id,feedback\n"))
    # Whoever tried it has asked for this.
    assert removal.clean(claimed(removal.CLEANING)) is None
    file.refresh_from_db()
    assert (file.state, file.error) == ("failed", removal.GIVEN_UP)
    assert file.ended_at is not None
    assert tellings.work(claimed(feedback_files.TELLING)) is None
    assert not files.storage().exists(files.input_name(file.uid))


def test_what_is_still_tried_is_looked_at_again() -> None:
    asked = Asked("some.csv", Format.CSV, Format.CSV)
    job = batches.create(ContentFile(b"x\n1\n"), algorithm("1"), asked, actor="ann", key_id=None)
    files.storage().delete(files.input_name(job.uid))
    lease = claimed(batches.SHORT)
    with pytest.raises(FileNotFoundError):
        work.work(lease)
    cleaning = claimed(removal.CLEANING)
    assert removal.clean(cleaning) == removal.GRACE.total_seconds()
    lease.fail("the file is away")
    give_up(batches.SHORT)
    assert removal.clean(cleaning) is None
    assert BatchJob.objects.get().error == removal.GIVEN_UP
    assert not FeedbackFile.objects.exists()
