from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ml_pipeline.stats import ratios

ALARM = math.log(ratios.SAMPLE_RATIO_ALARM)


def counted(rng: np.random.Generator, share: float, runs: int, looks: int, step: int) -> np.ndarray:
    """Units of two arms at each look, (runs, looks, 2)."""
    first = rng.binomial(step, share, (runs, looks)).cumsum(axis=1)
    return np.stack([first, np.arange(1, looks + 1) * step - first], axis=-1)


def test_healthy_shares_never_alarm_however_often_one_looks_and_a_chi_square_does_half_the_time() -> None:
    counts = counted(np.random.default_rng(1), 0.5, 200, 20_000, 1)
    assert (ratios.log_evidence(counts, (0.5, 0.5)) >= ALARM).any(axis=1).mean() <= 0.002
    total = counts.sum(axis=-1)
    squared = (counts[..., 0] - total / 2) ** 2 / (total / 4)
    fires = (squared >= stats.chi2.ppf(0.95, 1))[:, 30:].any(axis=1).mean()
    assert 0.4 <= fires <= 0.75


def test_uneven_shares_alarm_and_planned_uneven_ones_do_not() -> None:
    counts = counted(np.random.default_rng(2), 0.53, 300, 200, 100)
    assert (ratios.log_evidence(counts, (0.5, 0.5)) >= ALARM).any(axis=1).all()
    counts = counted(np.random.default_rng(3), 0.9, 1000, 200, 100)
    assert (ratios.log_evidence(counts, (9, 1)) >= ALARM).any(axis=1).mean() <= 0.002


def test_labels_that_come_for_one_arm_more_than_for_the_other_alarm() -> None:
    rng = np.random.default_rng(4)
    # 30 % against 33 % of the requests are labelled: 10 % more labels of one arm.
    uneven = counted(rng, 0.30 / 0.63, 500, 126, 100)
    even = counted(rng, 0.5, 2000, 126, 100)
    alarm = math.log(ratios.LABEL_PARITY_ALARM)
    assert (ratios.log_evidence(uneven, (0.5, 0.5)) >= alarm).any(axis=1).mean() >= 0.9
    assert (ratios.log_evidence(even, (0.5, 0.5)) >= alarm).any(axis=1).mean() <= 0.01


@given(st.lists(st.integers(0, 2), min_size=1, max_size=200), st.tuples(*[st.floats(0.1, 10)] * 3))
def test_step_by_step_it_is_the_same_as_at_once(arms: list[int], weights: tuple[float, float, float]) -> None:
    counts, evidence = [0, 0, 0], 0.0
    for arm in arms:
        evidence += ratios.log_gain(counts[arm], sum(counts), weights[arm] / sum(weights))
        counts[arm] += 1
    assert evidence == pytest.approx(float(ratios.log_evidence(counts, weights)), abs=1e-8)


@given(st.tuples(*[st.floats(0.01, 100)] * 2), st.tuples(*[st.integers(0, 10**9)] * 2))
def test_it_is_finite_and_begins_at_zero(weights: tuple[float, float], counts: tuple[int, int]) -> None:
    assert math.isfinite(float(ratios.log_evidence(counts, weights)))
    assert float(ratios.log_evidence((0, 0), weights)) == pytest.approx(0, abs=1e-12)


def test_shares_and_counts_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        ratios.log_evidence((1, 1), (1, 0))
    with pytest.raises(ValueError, match="counts"):
        ratios.log_evidence((1, -1), (1, 1))
