"""300 tests, 200 of equal arms and 100 of .70 against .90: each decides as the pure functions do on the same data."""

from __future__ import annotations

import random

import pytest
import simulations
from logged import started

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seed", range(300))
def test_each_decides_alike(seed: int) -> None:
    accuracies = (0.7, 0.9) if seed % 3 == 0 else (0.8, 0.8)
    test = started(max_labels=600)
    simulations.compare(simulations.run(test, accuracies, 2_000, random.Random(seed), label_rate=0.3))
