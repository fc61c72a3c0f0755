from __future__ import annotations

import numpy as np
import pytest
import streams

from ml_pipeline.stats import detectors


@pytest.mark.parametrize("reference", [0.6, 0.75, 0.85, 0.95, 0.99])
def test_one_run_of_20000_labels_in_a_hundred_gives_a_false_alarm_at_most(reference: float) -> None:
    runs = 4_000
    found = streams.first_alarms(np.random.default_rng(1), reference, [(20_000, reference)], runs)
    alarms = int((found >= 0).sum())
    print(f"{reference}: a false alarm within 20,000 labels in {alarms / runs:.2%} of runs")
    assert alarms <= 0.01 * runs
    # What is proven, as it says in the module.
    assert alarms / runs <= (20_000 + detectors.HEAD_START) / detectors.BOUND


@pytest.mark.parametrize(("reference", "fallen", "most"), [(0.6, 0.5, 500), (0.95, 0.85, 215), (0.99, 0.95, 420)])
def test_a_fall_is_found_from_any_accuracy(reference: float, fallen: float, most: float) -> None:
    phases = [(3_000, reference), (40_000, fallen)]
    found = streams.first_alarms(np.random.default_rng(2), reference, phases, 1_000)
    print(f"{reference} to {fallen}: found after a mean of {found.mean():.0f} labels")
    assert (found >= 0).all()
    assert found.mean() <= most
