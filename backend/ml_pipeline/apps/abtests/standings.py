"""Standings: a test within the transaction that moves it, its row locked; and how that is written down."""

from __future__ import annotations

import math
from datetime import datetime

from ml_pipeline.apps.abtests import tests
from ml_pipeline.apps.abtests.models import ABTest, Arm, Point, State
from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.apps.abtests.terms import Terms
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.events import clock

_COUNTS = ("units", "units_digest", "observations_digest", "last_point")


class Standing:
    """A test, its arms by number, and its tally. `moment` is the time by which the transaction judges."""

    def __init__(self, endpoint: Endpoint, test: ABTest) -> None:
        self.endpoint, self.test = endpoint, test
        self.arms: dict[int, Arm] = {
            arm.number: arm for arm in test.arms.select_related("parent_mlalgorithm__parent_endpoint")
        }
        self.tally = tally_of(test)
        self.moment: datetime = max(clock.now(), test.created_at)

    @property
    def is_running(self) -> bool:
        """Whether nothing has ended the test yet."""
        return self.test.state == State.RUNNING

    def elapsed_s(self, *, counted_until: datetime | None) -> float:
        """Seconds since the start. The maximum is reached once all was counted until then; None where there is more."""
        elapsed_s = (self.moment - self.test.created_at).total_seconds()
        maximum_s = self.tally.terms.plan.max_time_s
        if maximum_s is None:
            return elapsed_s
        if counted_until is not None and (counted_until - self.test.created_at).total_seconds() >= maximum_s:
            return elapsed_s
        return min(elapsed_s, math.nextafter(maximum_s, 0.0))

    def save(self) -> None:
        """The test's row and the new points of its paths are written."""
        test, tally = self.test, self.tally
        test.course = tally.course.state()
        test.counted = tally.observations
        for name in _COUNTS:
            setattr(test, name, getattr(tally, name))
        test.save()
        Point.objects.bulk_create(
            [Point(test=test, created_at=self.moment, **point._asdict()) for point in tally.points]
        )
        tally.points = []


def locked(test_id: int) -> Standing:
    """The standing of a test whose row, and whose endpoint's, are locked until the caller's transaction ends."""
    return Standing(*tests.locked(test_id))


def tally_of(test: ABTest) -> Tally:
    """The tally of `test`, as its row has it."""
    counts = {name: getattr(test, name) for name in _COUNTS}
    return Tally.restored(Terms.from_json(test.metric, test.plan), test.course, observations=test.counted, **counts)
