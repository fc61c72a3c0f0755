"""The sweep of deliveries: it is begun again whatever happened to it, and looks at few rows."""

from __future__ import annotations

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from told import Clock, happen, leased, receiver

from ml_pipeline.apps.events import sweeps
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/"


def test_a_sweep_that_was_given_up_begins_again_with_the_next_event(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    receiver(URL)
    sweep = Job.objects.filter(kind="events.sweep")
    sweep.update(state="failed", failures=10)
    with django_capture_on_commit_callbacks(execute=True):
        happen()
    assert sweep.get().state == "queued"


def test_what_is_looked_for_every_minute_is_found_by_an_index(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    receiver(URL)
    happen()
    with django_assert_max_num_queries(30) as queries:
        sweeps.sweep(leased("events.sweep", ""), Clock().now)
    (over,) = (one["sql"] for one in queries.captured_queries if '"ended_at" <' in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {over}")
        assert "SEARCH" in str(cursor.fetchall())
