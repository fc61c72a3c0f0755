"""Figures: the revision of the registry, and how many processes serve it, for whoever asks for the metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from ml_pipeline.apps.events import processes, revisions
from ml_pipeline.metrics.families import PREFIX


def metrics() -> Iterator[Metric]:
    """The revision that is committed, and the live processes on all machines, behind or not."""
    revision = revisions.current()
    text = "The registry's revision in the database."
    yield GaugeMetricFamily(f"{PREFIX}database_revision", text, value=revision)
    served = list(processes.live().values_list("revision", flat=True))
    text = "Serving processes that the database knows to be live, on all machines."
    yield GaugeMetricFamily(f"{PREFIX}live_processes", text, value=len(served))
    text = "Of these, how many do not serve the latest revision."
    yield GaugeMetricFamily(f"{PREFIX}live_processes_behind", text, value=sum(one < revision for one in served))
