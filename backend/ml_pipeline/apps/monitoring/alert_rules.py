"""Alert rules: made, changed and removed; each change is an event. What could never be breached is refused.

Who may do that is asked above. A rule that changes closes its open alerts: what is seen next is judged by what it says
now.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import changes, endpoints, names
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, Status
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.monitoring import alerts, subjects
from ml_pipeline.apps.monitoring.measures import MEASURES, OF_DRIFT, VOLUME, Measure
from ml_pipeline.apps.monitoring.models import AlertRule, Condition, Outcome
from ml_pipeline.apps.monitoring.windows import DAY, WEEK
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound

MOST_OF_AN_ENDPOINT: Final = 50
MOST_HOURS: Final = WEEK
DEFAULT_HOURS: Final = DAY
DEFAULT_ROWS: Final = 100
# What a rule is about never changes; another one is about something else.
ABOUT: Final = ("name", "measure", "condition", "feature", "label", "algorithm", "version")
CHANGEABLE: Final = ("threshold", "recovers_at", "window_hours", "min_rows", "beyond_chance", "is_active")


def create(endpoint: Endpoint, values: Mapping[str, Any], *, actor: str) -> AlertRule:
    """A new rule of `endpoint`, of ABOUT and CHANGEABLE.

    Raises InvalidInput for what could never be breached, and Conflict for a name in use and for too many.
    """
    counts_itself = values["measure"] == VOLUME
    rule = AlertRule(
        parent_endpoint=endpoint,
        created_by=actor,
        created_at=timezone.now(),
        **{
            "window_hours": DEFAULT_HOURS,
            "min_rows": 0 if counts_itself or values["measure"] in OF_DRIFT else DEFAULT_ROWS,
            **{name: values[name] for name in (*ABOUT, *CHANGEABLE) if name in values},
        },
    )
    _check(rule)
    with transaction.atomic():
        endpoints.locked(endpoint.pk)
        others = AlertRule.objects.filter(parent_endpoint=endpoint)
        if others.filter(name=rule.name).exists():
            raise Conflict(f"The endpoint {endpoint.name!r} has a rule named {rule.name!r} already.")
        if others.count() >= MOST_OF_AN_ENDPOINT:
            raise Conflict(f"There are {MOST_OF_AN_ENDPOINT} rules of this endpoint, as many as there may be.")
        rule.save(force_insert=True)
        _record("alertrule.created", rule, actor, **{name: getattr(rule, name) for name in (*ABOUT[1:], *CHANGEABLE)})
    return rule


def change(rule_id: int, values: Mapping[str, Any], *, actor: str) -> AlertRule:
    """The rule with those of CHANGEABLE that `values` has; the same again changes nothing.

    Raises InvalidInput, and NotFound when it is gone.
    """
    with transaction.atomic():
        rule = _locked(rule_id)
        changed = {name: one for name, one in values.items() if name in CHANGEABLE and one != getattr(rule, name)}
        if not changed:
            return rule
        for name, value in changed.items():
            setattr(rule, name, value)
        # What it is about was looked at when it was made; its algorithm may be archived by now.
        _refuse(_of_numbers(rule, MEASURES[rule.measure]))
        rule.revision += 1
        rule.evaluated_at, rule.standing = None, "[]"
        rule.save()
        _record("alertrule.changed", rule, actor, **changed)
        alerts.close_all(rule, Outcome.RULE_CHANGED if rule.is_active else Outcome.RULE_OFF, clock.now())
    return rule


def remove(rule_id: int, *, actor: str) -> None:
    """It watches nothing any more; its alerts stay, closed. Raises NotFound."""
    with transaction.atomic():
        rule = _locked(rule_id)
        _record("alertrule.deleted", rule, actor)
        alerts.close_all(rule, Outcome.RULE_DELETED, clock.now())
        rule.delete()


def _locked(rule_id: int) -> AlertRule:
    # The endpoint first, as whoever judges does.
    owner = AlertRule.objects.filter(pk=rule_id).values_list("parent_endpoint_id", flat=True).first()
    rule = None
    if owner is not None:
        endpoints.locked(owner)
        rule = AlertRule.objects.select_for_update().filter(pk=rule_id).first()
    if rule is None:
        raise NotFound(f"There is no alert rule with the id {rule_id}.")
    return rule


def _record(action: str, rule: AlertRule, actor: str, **details: Any) -> None:
    changes.record(action, rule.name, rule.parent_endpoint, actor=actor, rule=rule.pk, **details)


def _check(rule: AlertRule) -> None:
    measure = MEASURES[rule.measure]
    _refuse((*_of_name(rule), *_of_numbers(rule, measure), *_of_subject(rule, measure)))
    _refuse(_of_algorithms(rule, measure))


def _refuse(complaints: Iterable[Complaint]) -> None:
    found = list(complaints)
    if found:
        raise InvalidInput(found)


def _of_name(rule: AlertRule) -> Iterator[Complaint]:
    if not re.match(names.TAG_PATTERN, rule.name):
        expected = "a lower-case letter, then up to 62 of a-z, 0-9, _, . and -"
        yield Complaint(None, "name", expected, repr(rule.name[:80]))


def _of_numbers(rule: AlertRule, measure: Measure) -> Iterator[Complaint]:
    least = -math.inf if measure.least is None else measure.least
    most = math.inf if measure.most is None else measure.most
    is_above = rule.condition == Condition.ABOVE
    lowest, highest = (least, rule.threshold) if is_above else (rule.threshold, most)
    if not (least <= rule.threshold <= most) or rule.threshold == (most if is_above else least):
        between = (
            f"from {least:g} to {most:g}, and not {most if is_above else least:g}: nothing is {rule.condition} that"
        )
        yield Complaint(None, "threshold", f"a number {between}", f"{rule.threshold:g}")
    elif rule.recovers_at is not None and not lowest <= rule.recovers_at <= highest:
        expected = f"a number from {lowest:g} to {highest:g}, or null for the threshold"
        yield Complaint(None, "recovers_at", expected, f"{rule.recovers_at:g}")
    if not 1 <= rule.window_hours <= MOST_HOURS:
        yield Complaint(None, "window_hours", f"an integer from 1 to {MOST_HOURS}", str(rule.window_hours))
    if rule.min_rows and rule.measure == VOLUME:
        yield Complaint(
            None, "min_rows", "0: that there are few requests is what this rule is about", str(rule.min_rows)
        )
    if rule.beyond_chance and not measure.has_interval:
        yield Complaint(None, "beyond_chance", f"false: {rule.measure} comes without an interval", "true")


def _of_subject(rule: AlertRule, measure: Measure) -> Iterator[Complaint]:
    for field in ("feature", "label"):
        given = getattr(rule, field)
        if given and measure.takes != field:
            yield Complaint(None, field, f"nothing: {rule.measure} is of no {field}", repr(given[:80]))
        elif not given and measure.takes == field and measure.needs:
            yield Complaint(None, field, f"the {field} whose {rule.measure} is meant", "nothing")


def _of_algorithms(rule: AlertRule, measure: Measure) -> Iterator[Complaint]:
    # Whether there is one that the rule can watch. Of an endpoint without algorithms nothing is known yet.
    registered = MLAlgorithm.objects.filter(parent_endpoint=rule.parent_endpoint_id)
    for field, column in (("algorithm", "name"), ("version", "version")):
        given = getattr(rule, field)
        if not given:
            continue
        registered = registered.filter(**{column: given})
        if not registered.exists():
            yield Complaint(None, field, "that of an algorithm of the endpoint", repr(given[:80]))
            return
    if rule.algorithm or rule.version:
        registered = registered.exclude(active_status__status=Status.ARCHIVED)
        if not registered.exists():
            yield Complaint(None, "algorithm" if rule.algorithm else "version", "one that is not archived", "archived")
            return
    name = rule.feature or rule.label
    flaws = [measure.flaw(one, name) for one in subjects.found(registered.values_list("pk", flat=True)).values()]
    found = [flaw for flaw in flaws if flaw is not None]
    if flaws and len(found) == len(flaws):
        # Where the measure is right for some, what is wrong is the name.
        field, expected = min(found, key=lambda flaw: flaw[0] == "measure")
        yield Complaint(None, field, expected, repr((name if field != "measure" else rule.measure)[:80]))
