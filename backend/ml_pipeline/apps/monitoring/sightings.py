"""Sightings: what the rules of an endpoint see now, algorithm by algorithm. Reads windows alone, and changes nothing.

However much was asked, it is a few rows of each algorithm for each length of window that a rule has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Max

from ml_pipeline.apps.endpoints.models import MLAlgorithm, Status
from ml_pipeline.apps.monitoring import readings, sql, subjects
from ml_pipeline.apps.monitoring.measures import MEASURES, OF_DRIFT, VOLUME, Figure, Reading
from ml_pipeline.apps.monitoring.models import AlertRule, DriftTest
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.totals import PARTS, Totals

SERVED: Final = (Status.PRODUCTION, Status.AB_TESTING)


class Watched(NamedTuple):
    """An algorithm that a rule watches, or, without an id, the endpoint as a whole."""

    pk: int | None
    name: str = ""
    version: str = ""


class Sighting(NamedTuple):
    """What is seen of it; no figure where it is not known or not defined."""

    watched: Watched
    figure: Figure | None


class _Candidate(NamedTuple):
    pk: int
    name: str
    version: str
    status: str | None

    def is_watched_by(self, rule: AlertRule) -> bool:
        """Those that serve; where the rule names some, these, until they are archived."""
        if not (rule.algorithm or rule.version):
            return self.status in SERVED
        is_named = rule.algorithm in ("", self.name) and rule.version in ("", self.version)
        return is_named and self.status != Status.ARCHIVED


def is_of_endpoint(rule: AlertRule) -> bool:
    """Whether the rule counts what all algorithms were asked, instead of watching each."""
    return rule.measure == VOLUME and not (rule.algorithm or rule.version)


def found(endpoint_id: int, rules: Iterable[AlertRule], now: datetime) -> dict[int, list[Sighting]]:
    """By the rule's id what it sees at `now`, by the database's clock. A window is the hours of a rule before this one,
    and this one."""
    columns = ("pk", "name", "version", "active_status__status")
    candidates = [
        _Candidate(*row) for row in MLAlgorithm.objects.filter(parent_endpoint=endpoint_id).values_list(*columns)
    ]
    by_hours: dict[int, list[AlertRule]] = {}
    for rule in rules:
        by_hours.setdefault(rule.window_hours, []).append(rule)
    seen: dict[int, list[Sighting]] = {}
    for hours, its in by_hours.items():
        seen |= _in_window(candidates, its, window(hours, now))
    return seen


def window(hours: int, now: datetime) -> Range:
    """So many whole hours, and the one that is going on."""
    hour = sql.hour_at(now)
    return Range(hour - hours, hour + 1)


def _in_window(
    candidates: Sequence[_Candidate], rules: Sequence[AlertRule], within: Range
) -> dict[int, list[Sighting]]:
    seen: dict[int, list[Sighting]] = {}
    volumes = [rule for rule in rules if is_of_endpoint(rule)]
    if volumes:
        totals = readings.merged([one.pk for one in candidates], within, ())
        count = sum(one.whole.get("requests", 0) for one in totals.values())
        seen |= {rule.pk: [Sighting(Watched(None), Figure(count, count))] for rule in volumes}
    watched = {
        rule.pk: [one for one in candidates if one.is_watched_by(rule)] for rule in rules if not is_of_endpoint(rule)
    }
    read = _readings({one.pk for its in watched.values() for one in its}, rules, within)
    for rule in rules:
        if rule.pk in watched:
            seen[rule.pk] = [
                Sighting(Watched(one.pk, one.name, one.version), _figure(rule, read.get(one.pk)))
                for one in watched[rule.pk]
            ]
    return seen


def _readings(pks: Collection[int], rules: Sequence[AlertRule], within: Range) -> dict[int, Reading]:
    wanted = {part for rule in rules for part in MEASURES[rule.measure].parts}
    about = subjects.found(pks)
    totals = readings.merged(pks, within, [part for part in PARTS if part in wanted])
    tests = _tests(pks, within) if any(rule.measure in OF_DRIFT for rule in rules) else {}
    # Who was asked nothing was asked nothing: that is known.
    return {pk: Reading(about[pk], totals.get(pk, Totals()), tests.get(pk)) for pk in pks if pk in about}


def _tests(pks: Collection[int], within: Range) -> dict[int, DriftTest]:
    ended = DriftTest.objects.filter(parent_mlalgorithm__in=pks, to_at__gt=within.begins_at)
    newest = ended.values("parent_mlalgorithm").annotate(newest=Max("pk")).values_list("newest", flat=True)
    return {one.parent_mlalgorithm_id: one for one in DriftTest.objects.filter(pk__in=list(newest))}


def _figure(rule: AlertRule, reading: Reading | None) -> Figure | None:
    measure, name = MEASURES[rule.measure], rule.feature or rule.label
    if reading is None or measure.flaw(reading.subject, name) is not None:
        return None
    return measure.figure(reading, name)
