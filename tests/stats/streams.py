"""Labels of models whose accuracy falls, many runs at once, and when the detector's formula gives an alarm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.stats import detectors

ODDS = np.array([1.25, 1.6, 1.8, 2.0])


def lambdas(level: float) -> NDArray[np.float64]:
    odds = level / (1 - level) / ODDS
    return (level - odds / (1 + odds)) / (level * (1 - level))


def first_alarms(
    rng: np.random.Generator, reference: float, phases: list[tuple[int, float]], runs: int
) -> NDArray[np.int64]:
    """The label of each run at which the drop is found, 0 the first of the last phase; -1 where it never is.

    A phase is how many labels come with which accuracy. Alarms before the last phase begin the detector anew.
    """
    level = reference - detectors.margin_of(reference)
    right, wrong = 1 - lambdas(level) * (1 - level), 1 + lambdas(level) * level
    evidence = np.full((4, runs), detectors.HEAD_START)
    found = np.full(runs, -1)
    alive = np.arange(runs)
    for number, (labels, accuracy) in enumerate(phases, start=1):
        for at in range(labels):
            is_right = rng.random(len(alive), dtype=np.float32) < accuracy
            evidence = (evidence + 1) * np.where(is_right, right[:, None], wrong[:, None])
            is_alarm = evidence.sum(axis=0) >= 4 * detectors.BOUND
            if not is_alarm.any():
                continue
            if number < len(phases):
                evidence[:, is_alarm] = detectors.HEAD_START
                continue
            found[alive[is_alarm]] = at
            alive, evidence = alive[~is_alarm], evidence[:, ~is_alarm]
            if not len(alive):
                return found
    return found
