"""Alert rounds: the standing job that looks at what every rule sees, and opens and closes alerts.

What is seen is read outside any transaction; then a short one under the job's lease takes it, endpoint by endpoint, by
those rules that are still as they were. Killed anywhere, an alert is there with its event or not at all.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Final

from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import rests
from ml_pipeline.apps.jobs.handlers import seldom
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.monitoring import alerts, currency, sightings
from ml_pipeline.apps.monitoring.measures import MEASURES
from ml_pipeline.apps.monitoring.models import AlertRule
from ml_pipeline.errors import NotFound

logger = logging.getLogger(__name__)

# Between two rounds, and how long one may go on before the worker is asked again.
LOOK_S, LOOK_AT_MOST_S = 30.0, 20.0
# While requests or feedback wait for longer to be counted, windows lack them, and nothing is judged.
MOST_BEHIND_S: Final = 180.0


@seldom(lambda: LOOK_S)
def has_work() -> bool:
    """Whether there are rules; where there were none it is not looked at again for LOOK_S."""
    return AlertRule.objects.filter(is_active=True).exists()


def work(lease: Lease) -> float | None:
    """Judges by every rule, and says when to look again."""
    begun, now = time.monotonic(), clock.now()
    behind_s = currency.behind_s(now)
    if behind_s > MOST_BEHIND_S:
        logger.warning("alert rules wait: what came %.0f s ago is not counted yet", behind_s)
        return LOOK_S
    for endpoint_id in _endpoints():
        judge(endpoint_id, now, lease)
        if lease.is_unwanted or time.monotonic() - begun > LOOK_AT_MOST_S:
            return 0.0
    return LOOK_S


def judge(endpoint_id: int, now: datetime, lease: Lease) -> None:
    """The rules of an endpoint have been asked what they see. `now` is the database's time. Raises LeaseLost."""
    # A later version may have left some whose measure is not known here.
    rules = list(AlertRule.objects.filter(parent_endpoint=endpoint_id, is_active=True, measure__in=list(MEASURES)))
    seen = sightings.found(endpoint_id, rules, now)
    revisions = {rule.pk: rule.revision for rule in rules}
    with rests.held(lease):
        try:
            # Before the rules, as whoever makes one locks them; alerts refer to it.
            endpoints.locked(endpoint_id)
        except NotFound:
            return
        locked = AlertRule.objects.select_for_update().filter(pk__in=list(seen)).order_by("pk")
        for rule in locked:
            if rule.revision == revisions[rule.pk]:
                alerts.settle(rule, seen[rule.pk], now)
        lease.advance()


def _endpoints() -> list[int]:
    # Those that were not looked at for longest come first, so that all have their turn.
    since: dict[int, float] = {}
    active = AlertRule.objects.filter(is_active=True).values_list("parent_endpoint_id", "evaluated_at")
    for endpoint_id, evaluated_at in active:
        at = 0.0 if evaluated_at is None else evaluated_at.timestamp()
        since[endpoint_id] = min(at, since.get(endpoint_id, at))
    return sorted(since, key=lambda one: since[one])
