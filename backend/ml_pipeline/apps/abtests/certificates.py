"""Certificates: a decision with all that it rests on, as an exact JSON text that anybody can recompute from the log."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ml_pipeline.apps.abtests.models import ABTest, Arm, Point, Result
from ml_pipeline.apps.abtests.standings import Standing
from ml_pipeline.apps.abtests.tallies import PathPoint, Tally
from ml_pipeline.stats.decisions import Decision

FORMAT = 1


def written(
    standing: Standing, decision: Decision, *, result: Result, actor: str, is_stopped: bool, elapsed_s: float
) -> str:
    """The certificate of `decision`, which ends the test. All points of the paths must be saved."""
    test = standing.test
    document = {
        "format": FORMAT,
        "abtest": test.pk,
        "title": test.title,
        "endpoint": standing.endpoint.name,
        "started_at": test.created_at.isoformat(),
        "started_by": test.created_by,
        "decided_at": standing.moment.isoformat(),
        "decided_by": actor,
        "is_stopped": is_stopped,
        "metric": test.metric,
        "plan": test.plan,
        "promotes": test.promotes,
        "salt": test.salt,
        "arms": [_arm(arm) for arm in standing.arms.values()],
        "result": str(result),
        "decision": asdict(decision),
        **proven(standing.tally, elapsed_s),
        "path": path(test),
    }
    return exact(document)


def proven(tally: Tally, elapsed_s: float) -> dict[str, Any]:
    """What the log says of a test: totals, and digests of all assignments and observations in their order."""
    return {
        "totals": asdict(tally.course.totals(elapsed_s)),
        "units": tally.units,
        "units_digest": tally.units_digest,
        "observations": tally.observations,
        "observations_digest": tally.observations_digest,
    }


def path(test: ABTest) -> list[dict[str, Any]]:
    """The points of all paths, as they were saved."""
    points = Point.objects.filter(test=test).order_by("labels", "arm")
    return [point._asdict() for point in map(PathPoint._make, points.values_list(*PathPoint._fields))]


def exact(document: Any) -> str:
    """The one JSON text of `document`, keys in order; a number is written so that it reads as the same number."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _arm(arm: Arm) -> dict[str, Any]:
    algorithm = arm.parent_mlalgorithm
    return {
        "number": arm.number,
        "weight": arm.weight,
        "algorithm": algorithm.pk,
        "name": algorithm.name,
        "version": algorithm.version,
        "artifact_digest": algorithm.artifact_digest,
        "content_digest": algorithm.content_digest,
        "withdrawal": arm.withdrawal,
    }
