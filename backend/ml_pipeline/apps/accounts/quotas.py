"""Quotas: how many requests a second and rows a day a key, and a team with all its keys, may ask for.

Each process counts by itself and exactly; what it may let through follows, some seconds behind, from what the others
say they have let through. Until then each goes by what it knows, so that several together may exceed a quota by what
they let through in that time, and nobody is held up by a query.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from ml_pipeline.errors import QuotaExceeded


class Quota(NamedTuple):
    """What `subject` (`key 'NAME'`, `team 'NAME'`) may ask for, at least 1 of each; None for no limit."""

    subject: str
    requests_per_s: int | None
    rows_per_day: int | None


class Use(NamedTuple):
    """What this process let through of one subject: requests a second of late, and rows by day not reported yet."""

    rate_per_s: float
    rows: Mapping[date, int]


class Known(NamedTuple):
    """What all processes have reported: rows of `day` by subject; of each other one its requests a second of late."""

    day: date
    rows: Mapping[str, int]
    rates_per_s: Mapping[str, Sequence[float]]


class _Count:
    # Of one subject, in this process.
    def __init__(self, now: float) -> None:
        # When the latest requests were let through, as many as may be within a window.
        self.passed: deque[float] = deque()
        # Since it was last asked for.
        self.requests, self.since, self.was_idle = 0, now, True
        self.unreported: dict[date, int] = {}


class Meter:
    """Counts what this process lets through. Thread-safe; a forked process begins with nothing.

    `clock` is monotonic, in seconds; `now` the time of day in UTC.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock, self._now = clock, now
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}
        self._known = Known(date.min, {}, {})

    def admit(self, quotas: Sequence[Quota]) -> None:
        """One request is let through. Raises QuotaExceeded, and then it counts for none of `quotas`."""
        if not quotas:
            return
        now = self._clock()
        with self._lock:
            counts = [self._admitting(quota, now) for quota in quotas if quota.requests_per_s is not None]
            for count in counts:
                count.passed.append(now)
                count.requests += 1

    def take(self, quotas: Sequence[Quota], rows: int) -> None:
        """So many rows are asked for, whatever becomes of them. Raises QuotaExceeded, and then none of them counts."""
        if not quotas:
            return
        now = self._now()
        with self._lock:
            counts = [self._giving(quota, rows, now) for quota in quotas if quota.rows_per_day is not None]
            for count in counts:
                count.unreported[now.date()] = count.unreported.get(now.date(), 0) + rows

    def used(self) -> dict[str, Use]:
        """What was let through, by subject: requests since the last call, and the rows that are not reported yet.

        What was idle since the call before the last is left out.
        """
        now, uses = self._clock(), {}
        with self._lock:
            for subject, count in self._counts.items():
                is_idle = not count.requests and not count.unreported
                if not (is_idle and count.was_idle):
                    uses[subject] = Use(count.requests / max(now - count.since, 1.0), dict(count.unreported))
                count.requests, count.since, count.was_idle = 0, now, is_idle
        return uses

    def learn(self, known: Known, reported: Mapping[str, Use]) -> None:
        """`known` is what all have reported by now, in which `reported` is contained."""
        with self._lock:
            self._known = known
            for subject, use in reported.items():
                unreported = self._counts[subject].unreported
                for day, rows in use.rows.items():
                    unreported[day] -= rows
                    if not unreported[day]:
                        del unreported[day]

    def _count(self, quota: Quota) -> _Count:
        return self._counts.setdefault(quota.subject, _Count(self._clock()))

    def _admitting(self, quota: Quota, now: float) -> _Count:
        count, (most, window_s) = self._count(quota), self._window(quota)
        while count.passed and now - count.passed[0] >= window_s:
            count.passed.popleft()
        if len(count.passed) < most:
            return count
        raise QuotaExceeded(
            f"The {quota.subject} may make {quota.requests_per_s:,} requests a second.",
            {"subject": quota.subject, "requests_per_s": quota.requests_per_s},
            retry_after_s=max(1, math.ceil(count.passed[len(count.passed) - most] + window_s - now)),
        )

    def _window(self, quota: Quota) -> tuple[int, float]:
        # How many requests in how many seconds. What others do not use is ours, and a fair part in any case.
        limit, others = quota.requests_per_s or 0, self._known.rates_per_s.get(quota.subject, ())
        allowed = max(limit - sum(others), limit / (1 + len(others)))
        most = max(1, math.floor(allowed))
        return most, most / allowed

    def _giving(self, quota: Quota, rows: int, now: datetime) -> _Count:
        count, limit, today = self._count(quota), quota.rows_per_day or 0, now.date()
        reported = self._known.rows.get(quota.subject, 0) if self._known.day == today else 0
        left = max(0, limit - reported - count.unreported.get(today, 0))
        if rows <= left:
            return count
        midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
        raise QuotaExceeded(
            f"The {quota.subject} may ask for {limit:,} rows a day; {left:,} are left of this one.",
            {"subject": quota.subject, "rows_per_day": limit, "left": left},
            retry_after_s=max(1, math.ceil((midnight - now).total_seconds())),
        )


# Of this process.
meter = Meter()
