"""Facts: all that the page says of an endpoint: its metrics and tests, as the API has them, and what was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus
from ml_pipeline.apps.monitoring import metrics, readings, sql
from ml_pipeline.apps.monitoring.metrics import Entrant
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.report import trials
from ml_pipeline.apps.monitoring.report.trials import Trials

# Longer ranges are drawn by days.
MOST_HOURS: Final = 8 * 24
# Algorithms that are drawn, and those that are listed.
MOST_DRAWN: Final = 4
MOST_LISTED: Final = 40
_MOST_STEPS: Final = 5


class Before(NamedTuple):
    """What was in the range of the same length before it."""

    requests: int
    errors: int
    labelled: int
    correct: int


class Promotion(NamedTuple):
    """Who went into production, and when."""

    name: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Facts:
    """An endpoint in a range. `told` is the reply of `/metrics` with its series in steps of `by`; `algorithms` are
    those of its algorithms that are drawn, those in production first."""

    endpoint: Endpoint
    asked: Range
    by: str
    told: Mapping[str, Any]
    algorithms: Sequence[Mapping[str, Any]]
    trials: Mapping[int, Trials]
    production: Sequence[Entrant]
    before: Before
    promotions: Sequence[Promotion]
    # Of those that went into production, the ones that are not named.
    more_promotions: int

    @property
    def requests(self) -> int:
        """Of all algorithms."""
        return sum(one["requests"] for one in self.told["algorithms"])

    @property
    def errors(self) -> int:
        """Requests of all algorithms that failed."""
        return sum(sum(one["errors"].values()) for one in self.told["algorithms"])

    @property
    def hours(self) -> int:
        """The length of a step."""
        return metrics.STEPS[self.by]


def of(endpoint: Endpoint, chosen: Sequence[Entrant], asked: Range, slices: Sequence[str]) -> Facts:
    """The facts of these algorithms of the endpoint."""
    by = "hour" if asked.end - asked.begin <= MOST_HOURS else "day"
    told = metrics.told(endpoint, chosen, asked, slices, by)
    drawn = sorted(told["algorithms"], key=lambda one: (one["current_status"] != "production", -one["requests"]))
    drawn = drawn[:MOST_DRAWN]
    promotions, more = _promotions(chosen, asked)
    return Facts(
        endpoint=endpoint,
        asked=asked,
        by=by,
        told=told,
        algorithms=drawn,
        trials=trials.within([one["id"] for one in drawn], asked),
        production=[one for one in chosen if one.status == "production"],
        before=_before([one.pk for one in chosen], asked),
        promotions=promotions,
        more_promotions=more,
    )


def _before(algorithm_ids: Sequence[int], asked: Range) -> Before:
    earlier = Range(2 * asked.begin - asked.end, asked.begin)
    found = [one.whole for one in readings.merged(algorithm_ids, earlier, ()).values()]
    return Before(*(sum(whole[name] for whole in found) for name in Before._fields))


def _promotions(chosen: Sequence[Entrant], asked: Range) -> tuple[list[Promotion], int]:
    names = {one.pk: f"{one.name} {one.version}" for one in chosen}
    begun = MLAlgorithmStatus.objects.filter(
        parent_mlalgorithm__in=list(names),
        status="production",
        created_at__gte=asked.begins_at,
        created_at__lt=asked.ends_at,
    ).order_by("-pk")
    rows = begun.values_list("parent_mlalgorithm_id", "created_at", "created_by")
    found = [Promotion(names[pk], at, by) for pk, at, by in rows[:_MOST_STEPS]]
    return found, begun.count() - len(found)


def hour(step: Mapping[str, Any]) -> int:
    """The number of the hour since 1970 with which a step of the series begins."""
    return sql.hour_at(step["begins_at"])
