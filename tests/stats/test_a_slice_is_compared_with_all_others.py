"""A slice's comparison with the others is that of SciPy and statsmodels, corrected for how many are made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from ml_pipeline.stats import slices


def test_shares_are_tested_as_statsmodels_does() -> None:
    rows, hits = [400, 900, 250], [320, 800, 190]
    found = slices.shares(rows, hits)
    assert slices.comparisons(rows) == 3
    for place, one in enumerate(found):
        assert one is not None
        n, x = rows[place], hits[place]
        m, y = sum(rows) - n, sum(hits) - x
        _, p = proportions_ztest([x, y], [n, m])
        low, high = confint_proportions_2indep(x, n, y, m, method="newcomb", alpha=0.05 / 3)
        assert (one.rows, one.own, one.others) == (n, x / n, y / m)
        assert one.p == pytest.approx(p, rel=1e-9)
        assert one.q == pytest.approx(min(3 * p, 1), rel=1e-9)
        assert one.difference["low"] == pytest.approx(low, abs=1e-9)
        assert one.difference["high"] == pytest.approx(high, abs=1e-9)
        assert one.is_beyond_chance == (3 * p <= 0.05)


def test_few_rows_are_tested_exactly() -> None:
    one, two = slices.shares([6, 300], [2, 290])
    assert one is not None
    assert two is not None
    assert one.p == pytest.approx(stats.fisher_exact([[2, 4], [290, 10]])[1])
    # Each is the other's rest: one comparison.
    assert (one.q, two.q) == (one.p, two.p)
    assert slices.largest([one, two]) == 0


def test_means_are_tested_as_welch_does() -> None:
    draw = np.random.default_rng(1)
    groups = [draw.exponential(scale, size) for scale, size in ((1.0, 300), (1.1, 500), (1.6, 90))]
    rows = [len(one) for one in groups]
    found = slices.means(rows, [one.sum() for one in groups], [(one**2).sum() for one in groups])
    for place, one in enumerate(found):
        assert one is not None
        rest = np.concatenate([other for at, other in enumerate(groups) if at != place])
        expected = stats.ttest_ind(groups[place], rest, equal_var=False)
        interval = expected.confidence_interval(1 - 0.05 / 3)
        assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert one.difference["low"] == pytest.approx(interval.low, abs=1e-9)
        assert one.difference["high"] == pytest.approx(interval.high, abs=1e-9)
    assert slices.largest(found, is_more_worse=True) == 2


def test_slices_that_are_alike_rarely_differ_beyond_chance() -> None:
    """At most one feature in twenty; five slices of quite different sizes, 2,000 times."""
    draw = np.random.default_rng(2)
    rows = np.array([20, 60, 300, 900, 3_000])
    alarms = 0
    for _ in range(2_000):
        found = slices.shares(rows, draw.binomial(rows, 0.85))
        alarms += any(one is not None and one.is_beyond_chance for one in found)
    assert alarms / 2_000 < 0.06


def test_what_cannot_be_compared_is_not() -> None:
    assert slices.shares([0, 50], [0, 40]) == [None, None]
    assert slices.largest([None, None]) is None
    assert slices.means([2, 3], [1.0, np.inf], [1.0, 1.0]) == [None, None]
    lone, _ = slices.means([1, 3], [1.0, 5.0], [1.0, 9.0])
    assert lone is not None
    assert (lone.p, lone.difference["low"]) == (1.0, None)
    same, _ = slices.shares([10, 10], [10, 10])
    assert same is not None
    assert (same.p, same.is_beyond_chance) == (1.0, False)


def test_the_largest_gap_is_one_beyond_chance_where_there_is_any() -> None:
    # Three rows, all wrong, are the farthest; what is sure is another.
    found = slices.shares([1, 500, 1_500], [0, 400, 1_400])
    assert slices.largest(found) in {1, 2}
    # Of two as far apart the worse one.
    assert slices.largest(slices.shares([400, 400], [300, 380])) == 0
