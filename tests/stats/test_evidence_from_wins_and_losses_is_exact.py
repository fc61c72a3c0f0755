from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from ml_pipeline.stats import mcnemar

COUNTS = st.integers(0, 10**7)


def test_the_figures_that_people_can_remember() -> None:
    assert mcnemar.log_evidence(0, 0) == 0
    assert math.exp(mcnemar.log_evidence(7, 0)) == pytest.approx(3.06, abs=0.005)
    assert math.exp(mcnemar.log_evidence(12, 0)) < 20 <= math.exp(mcnemar.log_evidence(13, 0))


@pytest.mark.parametrize(
    ("wins", "losses"), [(0, 2000), (2000, 0), (0, 10**7), (10**7, 0), (10**7, 10**7), (10**7, 10**6)]
)
def test_evidence_is_finite_however_one_sided_and_json_takes_it(wins: int, losses: int) -> None:
    evidence = mcnemar.log_evidence(wins, losses)
    assert math.isfinite(evidence)
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence


def test_hopeless_evidence_falls_slowly_and_on_and_on() -> None:
    losses = np.array([0, 10, 100, 500, 1000, 2000, 10_000, 100_000, 10**6, 10**7])
    evidence = mcnemar.log_evidence(np.zeros_like(losses), losses)
    assert (np.diff(evidence) < 0).all()
    assert evidence[5] == pytest.approx(-5.2524, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_untruncated_components_are_those_of_ville(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = (rng.random(3000) < 0.3 + 0.1 * seed).astype(float)
    wins = np.cumsum(pairs).astype(int)
    ours = mcnemar.log_components(wins, np.arange(1, 3001) - wins)
    for place, concentration in enumerate(mcnemar.CONCENTRATIONS):
        test = ville.BernoulliTest(p0=0.5, prior=(concentration, concentration))
        np.testing.assert_allclose(ours[:, place], test.update(pairs).log_e_values_, atol=1e-9, rtol=0)


def integrated(wins: int, losses: int) -> float:
    """The mixture by numerical integration over the chance of a win, without any Beta function of the counts."""
    total = 0.0
    for a in mcnemar.CONCENTRATIONS:

        def log_density(p: float, a: float = a) -> float:
            prior = (a - 1) * (math.log(p) + math.log1p(-p)) - special.betaln(a, a) + math.log(2)
            return prior + wins * math.log(2 * p) + losses * math.log(2 * (1 - p))

        peak_at = min(max((a - 1 + wins) / (2 * a - 2 + wins + losses), 0.5), 1 - 1e-12)
        peak = log_density(peak_at)
        width = 1 / math.sqrt(a + wins + losses)
        edges = [p for p in (peak_at - 3 * width, peak_at, peak_at + width / 10, peak_at + 3 * width) if 0.5 < p < 1]
        area, _ = integrate.quad(
            lambda p: math.exp(log_density(p) - peak),  # noqa: B023  (called before the next turn)
            0.5,
            1.0,
            points=edges or None,
            limit=500,
            epsabs=0,
            epsrel=1e-11,
        )
        total += math.exp(peak) * area
    return math.log(total / 4)


@pytest.mark.parametrize(
    ("wins", "losses"),
    [
        (0, 0),
        (1, 0),
        (0, 1),
        (7, 0),
        (13, 2),
        (40, 40),
        (100, 130),
        (130, 100),
        (300, 500),
        (0, 900),
        (5, 2000),
        (900, 800),
    ],
)
def test_the_cut_to_chances_above_one_half_is_that_of_numerical_integration(wins: int, losses: int) -> None:
    assert mcnemar.log_evidence(wins, losses) == pytest.approx(integrated(wins, losses), abs=1e-8)


@given(COUNTS, COUNTS)
def test_arrays_and_single_counts_agree_and_all_is_finite(wins: int, losses: int) -> None:
    alone = mcnemar.log_evidence(wins, losses)
    together = mcnemar.log_evidence(np.array([[wins], [3]]), np.array([[losses], [1]]))
    assert math.isfinite(alone)
    assert together.shape == (2, 1)
    assert together[0, 0] == alone


@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_win_raises_evidence_and_a_loss_lowers_it(wins: int, losses: int) -> None:
    now = mcnemar.log_evidence(wins, losses)
    assert mcnemar.log_evidence(wins + 1, losses) > now > mcnemar.log_evidence(wins, losses + 1)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_a_fair_coin_gains_nothing_on_average(wins: int, losses: int) -> None:
    now = mcnemar.log_evidence(wins, losses)
    won, lost = mcnemar.log_evidence(wins + 1, losses), mcnemar.log_evidence(wins, losses + 1)
    assert (math.exp(won - now) + math.exp(lost - now)) / 2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(-1, 0), (0, -1)])
def test_counts_below_zero_are_refused(wins: int, losses: int) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        mcnemar.log_evidence(wins, losses)


def test_it_is_quick_enough_to_be_asked_for_each_label() -> None:
    times = []
    for wins in range(1000, 1500):
        begun = time.perf_counter()
        mcnemar.log_evidence(wins, 1200)
        times.append(time.perf_counter() - begun)
    # 18 µs on the machine this was written on; the median, since others work on it too.
    assert np.median(times) < 50e-6
