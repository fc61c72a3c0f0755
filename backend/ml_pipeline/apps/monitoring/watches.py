"""Watches: what the detector of each algorithm says of its accuracy."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ml_pipeline.apps.monitoring.models import Alarm, Detector

_ABOUT = ("kind", "labelled", "accuracy", "of_labels", "created_at")


def told(algorithm_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """By algorithm, of those whose accuracy is watched: `state`, watching or alarmed, and `since` when.

    `since` is None where there was no alarm yet. `labelled` is how many outcomes were looked at, `alarm` the last alarm
    or recovery.
    """
    latest: dict[int, dict[str, Any]] = {}
    alarms = Alarm.objects.filter(parent_mlalgorithm__in=algorithm_ids).order_by("pk")
    for algorithm_id, *row in alarms.values_list("parent_mlalgorithm_id", *_ABOUT):
        latest[algorithm_id] = dict(zip(_ABOUT, row, strict=True))
    detectors = Detector.objects.filter(parent_mlalgorithm__in=algorithm_ids)
    return {
        algorithm_id: {
            "state": "alarmed" if is_down else "watching",
            "since": latest[algorithm_id]["created_at"] if algorithm_id in latest else None,
            "labelled": labelled,
            "alarm": latest.get(algorithm_id),
        }
        for algorithm_id, labelled, is_down in detectors.values_list("parent_mlalgorithm_id", "labelled", "is_down")
    }
