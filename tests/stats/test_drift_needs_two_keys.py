from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ml_pipeline.stats import drift

REFERENCE = [3_000, 2_500, 2_000, 1_500, 1_000, 0]


def random_counts(seed: int, features: int = 20) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    shares = [rng.dirichlet(np.ones(rng.integers(2, 14))) for _ in range(features)]
    moved = [rng.dirichlet(share * 50 + 0.5) for share in shares]
    return [rng.multinomial(20_000, share) for share in shares], [rng.multinomial(900, share) for share in moved]


def test_each_figure_is_the_formula_of_its_name() -> None:
    reference, window = random_counts(1)
    found = drift.judged(reference, window)
    adjusted = stats.false_discovery_control([one.p for one in found])
    for before, now, one, q in zip(reference, window, found, adjusted, strict=True):
        filled = (before > 0) | (now > 0)
        chi2, p, degrees, _ = stats.chi2_contingency(np.stack([before, now])[:, filled])
        assert (one.chi2, one.p, one.bins - 1) == (chi2, p, degrees)
        assert one.q == q
        a, b = (np.where(counts > 0, counts, 0.5)[filled] / counts.sum() for counts in (before, now))
        psi = ((b - a) * np.log(b / a)).sum()
        assert one.psi == pytest.approx(psi, abs=1e-12)
        assert one.excess == pytest.approx(psi - degrees * (1 / 900 + 1 / 20_000), abs=1e-12)
        assert one.is_drifted == (q <= 0.01 and one.excess > 0.1)
    assert {one.is_drifted for one in found} == {True, False}


def test_much_data_alone_turns_one_key_only() -> None:
    before = np.array(REFERENCE) * 100
    (one,) = drift.judged([before], [before * [1.03, 1, 1, 1, 0.91, 1] // 1])
    assert one.q < 1e-10
    assert one.psi < 0.01
    assert not one.is_drifted


def test_a_large_index_of_few_rows_turns_one_key_only() -> None:
    (one,) = drift.judged([REFERENCE], [[1, 3, 3, 1, 2, 0]])
    assert one.psi > 0.1
    assert not one.is_drifted


def test_without_drift_the_excess_is_0_on_average() -> None:
    rng = np.random.default_rng(3)
    share = np.array(REFERENCE) / sum(REFERENCE)
    excess = [
        drift.judged([rng.multinomial(10_000, share)], [rng.multinomial(600, share)])[0].excess for _ in range(600)
    ]
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(600)


def test_a_value_never_seen_gives_a_finite_index_and_is_named() -> None:
    (one,) = drift.judged([REFERENCE], [[255, 212, 170, 128, 85, 150]])
    assert one.is_drifted
    assert one.place == 5
    assert 0.5 < one.psi < 2


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([], []),
        ([0, 0], [0, 0]),
        ([0, 0], [5, 9]),
        ([5, 9], [0, 0]),
        ([100, 0], [900, 0]),
        ([5], [7]),
    ],
)
def test_where_nothing_can_be_compared_there_is_no_drift(before: list[int], now: list[int]) -> None:
    (one,) = drift.judged([before], [now])
    assert (one.p, one.q, one.psi, one.excess, one.place) == (1, 1, 0, 0, None)
    assert one.rows == sum(now)
    assert not one.is_drifted


def test_all_rows_in_one_other_bin_is_drift() -> None:
    (one,) = drift.judged([[1_000, 0]], [[0, 1_000]])
    assert one.is_drifted
    assert math.isfinite(one.psi)


def test_no_features_have_no_judgements() -> None:
    assert drift.judged([], []) == []


@pytest.mark.parametrize(("before", "now"), [([1, 2], [1, 2, 3]), ([1, -1], [1, 2]), ([[1, 2]], [[1, 2]])])
def test_counts_that_fit_no_bins_are_refused(before: Any, now: Any) -> None:
    with pytest.raises(ValueError, match="counts"):
        drift.judged([before], [now])
    with pytest.raises(ValueError, match=r"zip|longer|shorter"):
        drift.judged([[1, 2]], [])
