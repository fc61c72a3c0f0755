"""Figures: how many jobs there are and how late they are, for whoever asks for the metrics."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from ml_pipeline.apps.jobs import handlers
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.models import Job, State
from ml_pipeline.metrics.families import PREFIX


def metrics() -> Iterator[Metric]:
    """Jobs by kind and state, and for how long the oldest that is due has been. Those that failed are given up.

    Of jobs that are only taken while they have work (see `handlers.register`) being due says nothing.
    """
    jobs = GaugeMetricFamily(
        f"{PREFIX}jobs", "Background jobs; those in state failed are given up.", labels=("kind", "state")
    )
    for kind, state, count in (
        Job.objects.values_list("kind", "state").annotate(count=Count("pk")).order_by("kind", "state")
    ):
        jobs.add_metric((kind, state), count)
    yield jobs
    late = GaugeMetricFamily(
        f"{PREFIX}job_oldest_due_age_seconds",
        "For how long the longest due job has waited; 0 where none is.",
        labels=("kind",),
    )
    # By the database's clock, by which they are due.
    waiting = Job.objects.filter(state=State.QUEUED).values("kind").order_by("kind")
    for kind, due_at, now in waiting.annotate(due=Min("due_at"), now=DatabaseNow()).values_list("kind", "due", "now"):
        if handlers.waits_when_due(kind):
            late.add_metric((kind,), max(0.0, (now - due_at).total_seconds()))
    yield late
