"""Scoring: what a logged answer was worth, once its true outcome is known."""

from __future__ import annotations

import json
from typing import Any

from ml_pipeline.apps.abtests.models import Arm
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.stats.metrics import Answer, Metric

# What scoring reads of a request.
FIELDS = ("id", "parent_mlalgorithm_id", "test_id", "arm", "outcome", "unit", "full_response")


def unit_of(request: MLRequest) -> str:
    """Whom a request is about, for its assignment: the unit, and where there is none the request itself."""
    return str(request.id) if request.unit is None else request.unit


def score(metric: Metric, arm: Arm, request: MLRequest, outcome: str | float) -> float:
    """The score of the answer that `arm` gave to `request`, in [0, 1]; 0 where it failed or another one stood in."""
    is_own = request.outcome == "ok" and request.parent_mlalgorithm_id == arm.parent_mlalgorithm_id
    found = metric.score(_answer(arm, json.loads(request.full_response)) if is_own else None, outcome)
    # There is an outcome, so there is a score.
    return float(found or 0.0)


def _answer(arm: Arm, reply: dict[str, Any]) -> Answer:
    label, probability = reply.get("label"), reply.get("probability")
    probabilities = reply.get("probabilities")
    labels = arm.parent_mlalgorithm.signature.get("labels") or []
    if probabilities is None and probability is not None and len(labels) == 2:
        # Of the second label, as every binary reply has it.
        probabilities = {labels[0]: 1.0 - probability, labels[1]: probability}
    return Answer(label, probabilities, reply.get("value"))
