"""Currency: how current the windows are, told without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Min, Model
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from ml_pipeline.apps.endpoints.models import Feedback
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.monitoring import claims
from ml_pipeline.apps.monitoring.claims import BATCHES, FEEDBACK
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.metrics.families import PREFIX

# Of what waits, the first so many are looked at: they are the oldest, but for some that were committed out of order.
_LOOKED_AT = 500


def requests_wait_since() -> datetime | None:
    """When the oldest commit of requests was written that is not in the windows yet; None where all are."""
    return _waits_since(JournalBatch, BATCHES)


def feedback_waits_since() -> datetime | None:
    """When the oldest feedback was told that is not in the windows yet; None where all is."""
    return _waits_since(Feedback, FEEDBACK)


def behind_s(now: datetime) -> float:
    """For how many seconds the oldest of what is not in the windows yet has waited; 0 where nothing waits."""
    waiting = [one for one in (requests_wait_since(), feedback_waits_since()) if one is not None]
    return max((now - min(waiting)).total_seconds(), 0.0) if waiting else 0.0


def metrics() -> Iterator[Metric]:
    """The same, for whoever asks for the metrics."""
    text = "For how long the oldest request or feedback has waited to be in the windows of monitoring; 0 where all are."
    yield GaugeMetricFamily(f"{PREFIX}windows_behind_seconds", text, value=behind_s(clock.now()))


def _waits_since(model: type[Model], source: str) -> datetime | None:
    first = claims.waiting(model, claims.taken(source), _LOOKED_AT)
    if not first:
        return None
    oldest: datetime | None = model._default_manager.filter(pk__in=first).aggregate(at=Min("created_at"))["at"]
    return oldest
