"""What is asked for at once can be taken at once, in the same millisecond, too."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.models.lookups import LessThanOrEqual

from ml_pipeline.apps.jobs import clock, jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.models import Job


@pytest.mark.django_db
def test_now_is_not_after_now() -> None:
    with transaction.atomic():
        jobs.ask("kind", "subject")
    # Within a statement the clock stands still.
    assert Job.objects.filter(LessThanOrEqual(clock.due(0.0), DatabaseNow())).exists()
    assert not Job.objects.filter(LessThanOrEqual(clock.due(0.5), DatabaseNow())).exists()
