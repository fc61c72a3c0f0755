"""A test whose log cannot be read is not decided in silence: it says so, and goes on once that is mended."""

from __future__ import annotations

import pytest
from logged import answered, started, told

from ml_pipeline.apps.abtests import counting, reports, tests
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db


def tried() -> Exception | None:
    """What came of one step of a worker, whenever it is due."""
    Job.objects.update(due_at="2020-01-01T00:00:00Z")
    lease = leases.claim([tests.COUNTING], "a worker")
    assert lease is not None
    try:
        counting.work(lease)
    except ValueError as error:
        lease.fail(str(error))
        return error
    lease.postpone(0.0)
    return None


def test_it_says_so_and_goes_on_once_that_is_mended() -> None:
    test = started()
    row, other = answered(test, ["yes", "yes"])
    told([row], "yes")
    MLRequest.objects.filter(pk=row.pk).update(full_response="{")
    assert reports.standing(test)["trouble"] is None
    while Job.objects.get().state != "failed":
        assert tried() is not None
    assert reports.standing(test)["trouble"] == {"failures": 10, "is_given_up": True}
    MLRequest.objects.filter(pk=row.pk).update(full_response=other.full_response)
    told([other], "yes")
    assert tried() is None
    assert ABTest.objects.get().counted == 2
    assert reports.standing(test)["trouble"] is None
