"""Currency: how current the windows are, told without changing anything."""

from __future__ import annotations

import json
from datetime import datetime

from django.db.models import Min, Model

from ml_pipeline.apps.endpoints.models import Feedback
from ml_pipeline.apps.events.models import Revision
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.monitoring import claims
from ml_pipeline.apps.monitoring.claims import BATCHES, FEEDBACK, Hole, Taken
from ml_pipeline.apps.monitoring.models import Claim
from ml_pipeline.apps.predictions.models import JournalBatch

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


def now() -> datetime:
    """Now, by the database's clock."""
    moment: datetime = Revision.objects.annotate(now=DatabaseNow()).values_list("now", flat=True)[0]
    return moment


def _waits_since(model: type[Model], source: str) -> datetime | None:
    row = Claim.objects.filter(source=source).first()
    taken = Taken() if row is None else Taken(row.top, tuple(Hole(*one) for one in json.loads(row.holes)))
    first = claims.waiting(model, taken, _LOOKED_AT)
    if not first:
        return None
    oldest: datetime | None = model._default_manager.filter(pk__in=first).aggregate(at=Min("created_at"))["at"]
    return oldest
