"""Alerts: opened when a figure is beyond its threshold, closed when it is back or no longer watched, each once.

A figure of fewer rows than the rule asks for says nothing: what is open stays open. All that changes alerts does it in
a transaction that holds the rule's row, so of two who see a breach one opens an alert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from ml_pipeline.apps.monitoring import notices
from ml_pipeline.apps.monitoring.measures import Figure
from ml_pipeline.apps.monitoring.models import Alert, AlertRule, Condition, Outcome
from ml_pipeline.apps.monitoring.sightings import Sighting, Watched

ALERTING, FINE, UNKNOWN = "alerting", "fine", "unknown"
# What an alert keeps of its rule.
_OF_RULE: Final = ("name", "measure", "condition", "threshold", "feature", "label")


def settle(rule: AlertRule, sightings: Iterable[Sighting], now: datetime) -> None:
    """Opens and closes the rule's alerts by what is seen, and stores how it stands. The rule's row is locked."""
    alerts = {one.parent_mlalgorithm_id: one for one in Alert.objects.filter(rule=rule.pk, closed_at=None)}
    standing = []
    for watched, figure in sightings:
        alert = alerts.pop(watched.pk, None)
        is_known = figure is not None and figure.rows >= rule.min_rows
        if is_known and figure is not None:
            alert = _judged(rule, watched, figure, alert, now)
        state = ALERTING if alert is not None else FINE if is_known else UNKNOWN
        standing.append(_told(watched, figure, state))
    for alert in alerts.values():
        close(alert, Outcome.ALGORITHM_LEFT, now)
    changes = {"standing": json.dumps(standing, separators=(",", ":")), "evaluated_at": now}
    AlertRule.objects.filter(pk=rule.pk).update(**changes)


def close_all(rule: AlertRule, outcome: Outcome, now: datetime) -> None:
    """Closes the open alerts of a rule, whose row is locked, and says why."""
    for alert in Alert.objects.filter(rule=rule.pk, closed_at=None).order_by("pk"):
        close(alert, outcome, now)


def close(alert: Alert, outcome: Outcome, now: datetime, value: float | None = None) -> None:
    """Closes one that is open, with its notice."""
    alert.closed_at, alert.outcome, alert.closing_value, alert.open_of = now, outcome, value, None
    alert.save(update_fields=["closed_at", "outcome", "closing_value", "open_of"])
    notices.of_alert(alert)


def is_breached(rule: AlertRule, figure: Figure) -> bool:
    """Whether the figure is beyond the threshold; `beyond_chance`: all that it may be with 95 %."""
    is_above = rule.condition == Condition.ABOVE
    nearest = (figure.low if is_above else figure.high) if rule.beyond_chance else figure.value
    if nearest is None:
        return False
    return nearest > rule.threshold if is_above else nearest < rule.threshold


def is_recovered(rule: AlertRule, figure: Figure) -> bool:
    """Whether the figure itself is back."""
    at = rule.threshold if rule.recovers_at is None else rule.recovers_at
    return figure.value <= at if rule.condition == Condition.ABOVE else figure.value >= at


def _judged(rule: AlertRule, watched: Watched, figure: Figure, alert: Alert | None, now: datetime) -> Alert | None:
    # The alert that is open from now on.
    if alert is None:
        return _opened(rule, watched, figure, now) if is_breached(rule, figure) else None
    if is_recovered(rule, figure):
        close(alert, Outcome.RECOVERED, now, figure.value)
        return None
    farthest = max if rule.condition == Condition.ABOVE else min
    worst = farthest(alert.worst, figure.value)
    if worst != alert.worst:
        Alert.objects.filter(pk=alert.pk).update(worst=worst)
    return alert


def _opened(rule: AlertRule, watched: Watched, figure: Figure, now: datetime) -> Alert:
    alert = Alert.objects.create(
        parent_endpoint_id=rule.parent_endpoint_id,
        parent_mlalgorithm_id=watched.pk,
        rule=rule,
        open_of=f"{rule.pk}:{watched.pk or 0}",
        value=figure.value,
        rows=figure.rows,
        worst=figure.value,
        opened_at=now,
        **{name: getattr(rule, name) for name in _OF_RULE},
    )
    notices.of_alert(alert)
    return alert


def _told(watched: Watched, figure: Figure | None, state: str) -> dict[str, Any]:
    about = {
        "parent_mlalgorithm": watched.pk,
        "algorithm": watched.name or None,
        "version": watched.version or None,
        "state": state,
    }
    if figure is None:
        return {**about, "rows": 0, "value": None, "low": None, "high": None}
    return {**about, "rows": figure.rows, "value": figure.value, "low": figure.low, "high": figure.high}
