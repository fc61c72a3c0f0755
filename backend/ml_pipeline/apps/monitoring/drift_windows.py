"""Drift windows: runs of whole hours, each tested once for drift when it has rows enough.

A window begins where the last tested one ends, with an algorithm's first hour if none was, and ends with the hour that
brings it to MIN_ROWS. An hour can end one when it is over: GRACE has passed since by the database's clock, and all
commits of the log from before then are folded. What comes later is counted in its hour and not in the test. Where some
inputs were kept, but none of the last MOST_BLIND rows', no more are waited for.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from django.db.models import F, Max, Min, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import rests
from ml_pipeline.apps.jobs.handlers import seldom
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.monitoring import currency, drifts, notices, readings, sql, subjects, totals
from ml_pipeline.apps.monitoring.drifts import Finding
from ml_pipeline.apps.monitoring.models import DriftTest, Window
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.apps.monitoring.totals import Totals
from ml_pipeline.apps.monitoring.windows import HOUR
from ml_pipeline.stats.drift import MIN_ROWS

logger = logging.getLogger(__name__)

# Serving processes commit within seconds of answering, but for what they had to keep in a file.
GRACE = timedelta(minutes=3)
# Between two looks, and how long one may go on before the worker is asked again.
LOOK_S, LOOK_AT_MOST_S = 30.0, 20.0
# An endpoint that keeps inputs of one request in a thousand has no such gap.
MOST_BLIND = 20 * MIN_ROWS
# Hours of one query.
_HOURS = 200


class Gathering(NamedTuple):
    """The run that is not tested yet: the number of its first hour since 1970, and its rows so far."""

    begin: int
    rows: int


@seldom(lambda: LOOK_S)
def has_work() -> bool:
    """Whether a window may have rows enough; where none had it is not looked at again for LOOK_S."""
    return bool(_candidates(_over()))


def work(lease: Lease) -> float | None:
    """Tests what can be tested, and says when to look again."""
    begun = time.monotonic()
    limit = _over()
    for subject in subjects.found(_candidates(limit)).values():
        while _test_next(subject, limit, lease):
            if lease.is_unwanted or time.monotonic() - begun > LOOK_AT_MOST_S:
                return 0.0
    return LOOK_S


def gathering(algorithm_id: int) -> Gathering | None:
    """The run of an algorithm that is not tested yet, with the hour that is going on; None before its first request."""
    begin = _begin(algorithm_id)
    if begin is None:
        return None
    latest = Window.objects.filter(parent_mlalgorithm=algorithm_id, hours=HOUR).aggregate(at=Max("begins_at"))["at"]
    within = Range(begin, max(sql.hour_at(latest) + 1, begin))
    found = readings.merged([algorithm_id], within, drifts.PARTS)
    return Gathering(begin, drifts.rows(found[algorithm_id]) if algorithm_id in found else 0)


def _over() -> int:
    # The hours before that of this number are over.
    now, waiting = clock.now(), currency.requests_wait_since()
    return sql.hour_at((now if waiting is None else min(now, waiting)) - GRACE)


def _candidates(limit: int) -> list[int]:
    # Algorithms with a profile that may have rows enough in hours that are over and were not tested.
    tests = DriftTest.objects.filter(parent_mlalgorithm=OuterRef("parent_mlalgorithm")).order_by("-to_at")
    untested = Window.objects.filter(
        hours=HOUR, begins_at__lt=sql.begins_at(limit), parent_mlalgorithm__reference_profile__isnull=False
    ).annotate(tested_at=Subquery(tests.values("to_at")[:1]))
    untested = untested.filter(Q(tested_at=None) | Q(begins_at__gte=F("tested_at")))
    answered = untested.values("parent_mlalgorithm").annotate(answered=Sum(F("requests") - F("errors")))
    return list(answered.filter(answered__gte=MIN_ROWS).values_list("parent_mlalgorithm", flat=True))


def _begin(algorithm_id: int) -> int | None:
    tested_at = DriftTest.objects.filter(parent_mlalgorithm=algorithm_id).aggregate(at=Max("to_at"))["at"]
    if tested_at is None:
        hours = Window.objects.filter(parent_mlalgorithm=algorithm_id, hours=HOUR)
        tested_at = hours.aggregate(at=Min("begins_at"))["at"]
    return None if tested_at is None else sql.hour_at(tested_at)


def _test_next(subject: Subject, limit: int, lease: Lease) -> bool:
    # Whether there was a window to be tested.
    begin = _begin(subject.pk)
    if begin is None or subject.profile is None:
        return False
    total, blind = Totals(), 0
    for hour, one in _hours(subject.pk, begin, limit):
        total = total + one
        blind = 0 if drifts.kept(one) else blind + drifts.answered(one)
        if drifts.rows(total) >= MIN_ROWS or blind >= MOST_BLIND:
            _store(subject, Range(begin, hour + 1), drifts.judged(subject, total), lease)
            return True
    return False


def _hours(algorithm_id: int, begin: int, limit: int) -> Iterator[tuple[int, Totals]]:
    names = ("begins_at", *totals.WHOLE, *drifts.PARTS)
    rows = Window.objects.filter(
        parent_mlalgorithm=algorithm_id,
        hours=HOUR,
        begins_at__gte=sql.begins_at(begin),
        begins_at__lt=sql.begins_at(limit),
    ).order_by("begins_at")
    first = 0
    while page := list(rows.values(*names)[first : first + _HOURS]):
        for row in page:
            yield sql.hour_at(row["begins_at"]), totals.summed([row])
        first += _HOURS


def _store(subject: Subject, within: Range, finding: Finding, lease: Lease) -> None:
    content = json.dumps(finding.result, separators=(",", ":"))
    with rests.held(lease):
        if DriftTest.objects.filter(parent_mlalgorithm=subject.pk, from_at=within.begins_at).exists():
            return
        test = DriftTest.objects.create(
            parent_mlalgorithm_id=subject.pk,
            from_at=within.begins_at,
            to_at=within.ends_at,
            rows=finding.rows,
            tested=finding.tested,
            is_alarm=finding.is_alarm,
            result=content,
            created_at=timezone.now(),
        )
        if finding.is_alarm:
            estimate = finding.result["estimate"]
            notices.of_drift(test, finding.drifted, None if estimate is None else estimate["change"])
        lease.advance()
    if finding.is_alarm:
        named = ", ".join(one["name"] for one in finding.drifted)
        logger.warning("the inputs of algorithm %s drifted since %s: %s", subject.pk, within.begins_at, named)
