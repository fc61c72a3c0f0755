from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from ml_pipeline.stats.bounded import LEVELS, STEPS, Band, Differences


def gathered(win: int, tie: int, loss: int) -> Differences:
    return Differences(win + tie + loss, win, loss, {0: float(loss), STEPS: float(tie), 2 * STEPS: float(win)})


@pytest.mark.parametrize("mean", [0.0, 0.02, -0.1])
def test_it_covers_the_truth_at_every_look_of_nearly_every_test(mean: float) -> None:
    rng, missed = np.random.default_rng(1), 0
    for _ in range(200):
        counts = rng.multinomial([500] * 10, [0.13 + mean / 2, 0.13 - mean / 2, 0.74]).cumsum(axis=0).tolist()
        bands = [gathered(win, tie, loss).band(0.05) for win, loss, tie in counts]
        missed += any(not band.low <= mean <= band.high for band in bands)
    assert missed / 200 <= 0.05


def test_its_ends_are_where_the_evidence_against_reaches_its_bound() -> None:
    differences = gathered(300, 1500, 200)
    band = differences.band(0.05)
    bound = math.log(40)
    low = optimize.brentq(lambda margin: differences.log_evidence(margin) - bound, -0.99, 0.99, xtol=1e-12)
    high = optimize.brentq(lambda margin: differences.log_evidence_below(margin) - bound, -0.99, 0.99, xtol=1e-12)
    assert band.low == pytest.approx(low, abs=2e-9)
    assert band.low <= low
    assert band.high == pytest.approx(high, abs=2e-9)
    assert band.high >= high


def test_evidence_falls_as_its_margin_rises_so_that_there_is_one_root() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        tally = {int(level): float(n) for level, n in enumerate(rng.poisson(rng.choice([0.02, 1.0]), len(LEVELS))) if n}
        differences = Differences(int(sum(tally.values())), 0, 0, tally)
        evidence = [differences.log_evidence(margin) for margin in np.linspace(-1, 1, 81)]
        assert (np.diff(evidence) <= 1e-9).all()


def test_without_differences_it_is_everything() -> None:
    assert Differences().band(0.05) == Band(-1.0, 1.0)
    assert Differences().mean() is None


def test_it_narrows_as_labels_come_and_widens_with_what_it_promises() -> None:
    few, many = gathered(13, 74, 13), gathered(1300, 7400, 1300)
    assert few.band(0.05).high > many.band(0.05).high > 0 > many.band(0.05).low > few.band(0.05).low
    assert many.band(0.01).high > many.band(0.05).high


def test_it_is_the_same_seen_from_the_other_side() -> None:
    there, back = gathered(300, 1500, 200).band(0.05), gathered(200, 1500, 300).band(0.05)
    assert (there.low, there.high) == (-back.high, -back.low)
