"""The database's clock, read: those of the processes may be hours off."""

from __future__ import annotations

from datetime import datetime

from ml_pipeline.apps.events.models import Revision
from ml_pipeline.apps.jobs.clock import DatabaseNow


def now() -> datetime:
    """The time by the database's clock."""
    # Of the one row that is always there.
    moment: datetime = Revision.objects.values_list(DatabaseNow(), flat=True).get(pk=1)
    return moment
