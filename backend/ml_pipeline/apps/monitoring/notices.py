"""Notices: what monitoring found, as events of the audit, each once: in the transaction that records the finding."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from ml_pipeline.apps.endpoints import changes
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.monitoring import wording
from ml_pipeline.apps.monitoring.measures import MEASURES
from ml_pipeline.apps.monitoring.models import Alarm, Alert, DriftTest, Outcome

ACTOR: Final = "monitoring"
ACTIONS: Final = {"drop": "accuracy.dropped", "recovery": "accuracy.recovered"}
DRIFT: Final = "drift.found"
# Of hundreds of features that drifted at once an event and its letter name these; the test has all.
MOST_NAMED: Final = 20
OPENED, RECOVERED, CLOSED = "alert.opened", "alert.recovered", "alert.closed"


def of_accuracy(alarms: Iterable[Alarm]) -> None:
    """`accuracy.dropped` and `accuracy.recovered`."""
    for one in alarms:
        algorithm = _algorithm(one.parent_mlalgorithm_id)
        metrics = (algorithm.reference_profile or {}).get("metrics") or {}
        _record(
            ACTIONS[one.kind],
            algorithm,
            accuracy=one.accuracy,
            of_labels=one.of_labels,
            labelled=one.labelled,
            reference_accuracy=metrics.get("accuracy"),
        )


def of_drift(test: DriftTest, drifted: Iterable[dict[str, Any]], change: dict[str, Any] | None) -> None:
    """`drift.found`: what has drifted, the farthest alone where that is much, and by how much accuracy is expected to
    change, None where that is not known."""
    farthest = sorted(drifted, key=lambda one: -one["excess"])
    named = [{name: one[name] for name in ("name", "psi", "excess", "words")} for one in farthest[:MOST_NAMED]]
    about: dict[str, Any] = {"from": _stamp(test.from_at), "to": _stamp(test.to_at), "rows": test.rows}
    about["drifted_count"] = len(farthest)
    algorithm = _algorithm(test.parent_mlalgorithm_id)
    _record(DRIFT, algorithm, **about, drifted=named, expected_accuracy_change=change)


def of_alert(alert: Alert) -> None:
    """`alert.opened`, or how it ended: `alert.recovered`, or `alert.closed` where nobody watches it any more."""
    algorithm = None if alert.parent_mlalgorithm_id is None else _algorithm(alert.parent_mlalgorithm_id)
    endpoint = alert.parent_endpoint if algorithm is None else algorithm.parent_endpoint
    about: dict[str, Any] = {} if algorithm is None else {"algorithm": algorithm.name, "version": algorithm.version}
    names = ("measure", "feature", "label", "condition", "threshold", "value", "rows", "worst", "closing_value")
    given = {name: getattr(alert, name) for name in names if getattr(alert, name) not in (None, "")}
    about |= {"alert": alert.pk, "rule": alert.rule_id, "name": alert.name, **given}
    about["is_estimate"] = MEASURES[alert.measure].is_estimate
    if alert.outcome:
        about |= {"opened_at": _stamp(alert.opened_at), "outcome": alert.outcome}
    action = {"": OPENED, Outcome.RECOVERED: RECOVERED}.get(alert.outcome, CLOSED)
    changes.record(action, wording.of_alert(alert, algorithm), endpoint, actor=ACTOR, **about)


def _record(action: str, algorithm: MLAlgorithm, **details: Any) -> None:
    about = {"algorithm": algorithm.name, "version": algorithm.version, **details}
    changes.record(action, algorithm, algorithm.parent_endpoint, actor=ACTOR, **about)


def _algorithm(pk: int) -> MLAlgorithm:
    return MLAlgorithm.objects.select_related("parent_endpoint").get(pk=pk)


def _stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
