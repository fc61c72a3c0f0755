"""Endpoints with a life behind them, for tests of the report: requests and outcomes, folded and tested for drift."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from traffic import HOUR, NOON, Log, entry, folded, outcome, prediction, row, tell, watched

from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import drift_windows
from ml_pipeline.apps.monitoring.apps import DRIFT


def life(
    *algorithms: MLAlgorithm,
    hours: int = 3,
    rows: int = 300,
    older_from: int = 10_000,
    wrong_from: int = 10_000,
    failing: float = 0.02,
    told: float = 0.3,
    seed: int = 5,
) -> None:
    """So many rows an hour from NOON on; of them people are older, and answers wrong, from
    those hours on; `told` is the share of outcomes."""
    draw = random.Random(seed)
    log = Log(draw)
    for hour in range(hours):
        entries, outcomes = [], []
        for at in range(rows):
            by = algorithms[at % len(algorithms)]
            inputs: dict[str, Any] = row(draw)
            inputs["age"] = None if inputs["age"] is None else inputs["age"] + 25 * (hour >= older_from)
            answered = prediction(draw, by.signature["labels"])
            one = entry(draw, by, NOON + hour * HOUR + at * timedelta(seconds=3_000 / rows), inputs, answered)
            if draw.random() < failing:
                one = one._replace(outcome="internal", response=None, probability=None, full_response='{"error": {}}')
            elif draw.random() < told:
                others = [label for label in by.signature["labels"] if label != answered.label]
                outcomes.append((one, draw.choice(others) if hour >= wrong_from else outcome(draw, answered)))
            entries.append(one)
        log.commit(entries, NOON + (hour + 1) * HOUR)
        tell(outcomes)
    folded()


def drift_tested() -> None:
    """All windows that can be are tested for drift."""
    # Not what rests where this process found none before.
    assert drift_windows.has_work.__wrapped__()  # type: ignore[attr-defined]
    jobs.stand([DRIFT])
    lease = leases.claim([DRIFT], "tests")
    assert lease is not None
    drift_windows.work(lease)


def in_production(version: str = "1", **changes: Any) -> MLAlgorithm:
    """An algorithm with reference rows that is in production."""
    made = watched(version, **changes)
    statuses.move(made, "production", actor="tests", reason="")
    return made
