from __future__ import annotations

import numpy as np
import pytest
import walks

from ml_pipeline.stats import planning
from ml_pipeline.stats.bounded import Band
from ml_pipeline.stats.plans import Plan


def test_a_fixed_horizon_is_that_of_statsmodels() -> None:
    assert planning.fixed_horizon_labels(0.85, 0.87) == 3721
    assert planning.fixed_horizon_labels(0.85, 0.87, power=0.9) > 5000


@pytest.mark.parametrize(("champion", "challenger"), [(0.85, 0.85), (0.87, 0.85), (0.0, 0.5), (0.5, 1.0)])
def test_without_an_improvement_there_is_nothing_to_plan(champion: float, challenger: float) -> None:
    with pytest.raises(ValueError, match="higher"):
        planning.fixed_horizon_labels(champion, challenger)


def test_the_pairs_of_a_decision_are_eight_times_the_variance_over_the_square_of_the_difference() -> None:
    pairs = planning.pairs(0.02, 0.241)
    assert pairs.mean == pytest.approx(8 * 0.241 / 0.02**2)
    assert pairs.most == pytest.approx(12.5 * 0.241 / 0.02**2)


@pytest.mark.parametrize(
    ("champion", "challenger", "alpha"), [(0.85, 0.87, 0.05), (0.85, 0.87, 0.01), (0.70, 0.75, 0.025)]
)
def test_simulated_tests_take_as_long_as_planning_says(champion: float, challenger: float, alpha: float) -> None:
    win, loss = walks.discordant(champion, challenger)
    needed = walks.wins_needed(14_000, Plan(alpha=alpha).evidence_bound)
    crossed_at = walks.first_crossings(np.random.default_rng(1), win / (win + loss), needed, 1000)
    pairs = crossed_at / (win + loss)
    expected = planning.pairs(challenger - champion, win + loss, alpha=alpha)
    assert pairs.mean() == pytest.approx(expected.mean, rel=0.15)
    assert (pairs <= expected.most).mean() >= 0.78


def test_an_even_split_of_independent_arms_has_the_variance_of_its_discordant_pairs() -> None:
    win, loss = walks.discordant(0.85, 0.87)
    assert planning.variance_of_split(0.85, 0.87) == pytest.approx(win + loss - 0.02**2)
    assert planning.variance_of_split(0.85, 0.87, (0.9, 0.1)) == pytest.approx(0.85 * 0.15 / 9 + 0.87 * 0.13)


def test_time_is_that_of_the_rarer_block() -> None:
    # 10 requests a second, 30 % labelled: 3 labels a second, 1.5 pairs of two arms.
    assert planning.time_s(4820, requests_per_s=10, label_rate=0.3) == pytest.approx(4820 / 1.5)
    assert planning.time_s(4820, requests_per_s=10, label_rate=0.3, weights=(0.9, 0.1)) == pytest.approx(4820 / 0.3)
    assert planning.time_s(4820, requests_per_s=10, label_rate=0.3, weights=None) == pytest.approx(4820 / 3)
    assert planning.time_s(4820, requests_per_s=10, label_rate=0) is None


@pytest.mark.parametrize("wrong", [(0.0, 0.2, 0.05), (0.02, 0.0, 0.05), (0.02, 0.2, 0.0)])
def test_what_cannot_be_found_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        planning.pairs(wrong[0], wrong[1], alpha=wrong[2])


def test_the_largest_difference_that_is_still_possible_is_the_farther_end_of_the_band() -> None:
    assert Band(-0.01, 0.03).largest == 0.03
    assert Band(-0.04, 0.03).largest == 0.04
