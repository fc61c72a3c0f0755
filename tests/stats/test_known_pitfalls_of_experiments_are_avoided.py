"""Eight ways to be wrong about an experiment, each with how often it is, and what the product does instead.

Simulated tests with fixed seeds, judged by the product's own functions.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import walks
from numpy.typing import NDArray

from ml_pipeline.stats import bounded, mcnemar, pairing
from ml_pipeline.stats.bounded import STEPS, Differences
from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.metrics import Answer, Metric
from ml_pipeline.stats.plans import Plan

BOUND = Plan(alpha=0.05).evidence_bound
ACCURACY = Metric("accuracy")
RUNS = 1000


def is_promoted(wins: NDArray[np.int64], losses: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (walks.log_evidence(wins, losses) >= BOUND).any(axis=-1)


def promoted(rng: np.random.Generator, champion: float, challenger: float, runs: int = RUNS) -> float:
    """The share of tests of 20,000 labels, 100 looks, that promote, where arms are right with these chances."""
    return float(is_promoted(*walks.wins_and_losses(rng, *walks.discordant(champion, challenger), runs=runs)).mean())


def counted(champion: NDArray[np.bool_], challenger: NDArray[np.bool_], every: int) -> tuple[NDArray[np.int64], ...]:
    """Wins and losses of each run at each look, from what was right in (runs, pairs)."""
    wins, losses = (challenger & ~champion).cumsum(axis=1), (champion & ~challenger).cumsum(axis=1)
    return wins[:, every - 1 :: every], losses[:, every - 1 :: every]


def test_1_unlabelled_answers_are_not_wrong_ones() -> None:
    # Equal accuracy; 30 % of one arm's requests are labelled, 33 % of the other's.
    assert ACCURACY.score(Answer("yes"), None) is None
    rng = np.random.default_rng(1)
    looks = np.arange(1, 101) * 300
    by_request = walks.wins_and_losses(rng, *walks.discordant(0.85 * 0.30, 0.85 * 0.33), looks, RUNS)
    assert is_promoted(*by_request).mean() >= 0.99
    assert promoted(rng, 0.85, 0.85) <= 0.03
    course = Course(Plan())
    assert course.totals(0).contests[0].pairs == 0
    assert course.point(1).mean is None


def test_2_requests_of_one_user_are_not_independent() -> None:
    # 20 requests a user, whose accuracy is drawn with mean 0.85 and standard deviation 0.15; equal arms.
    rng = np.random.default_rng(2)
    spread = 0.85 * 0.15 / 0.15**2 - 1
    chances = rng.beta(0.85 * spread, 0.15 * spread, (2, RUNS, 500))
    right = rng.random((2, RUNS, 500, 20)) < chances[..., None]
    by_request = right.reshape(2, RUNS, 10_000)
    assert 0.3 <= is_promoted(*counted(*by_request, every=100)).mean() <= 0.55
    first_labels = right[..., 0]
    assert is_promoted(*counted(*first_labels, every=5)).mean() <= 0.05

    levels = np.rint((right[1].mean(axis=-1) - right[0].mean(axis=-1) + 1) * STEPS).astype(int)
    used = np.arange(0, 2 * STEPS + 1, STEPS // 20)
    tallies = (levels[..., None] == used).cumsum(axis=1)[:, 4::5]
    evidence = np.concatenate([bounded.log_evidence(part, used) for part in np.array_split(tallies, 100)])
    assert (evidence >= BOUND).any(axis=1).mean() <= 0.02


def test_3_only_arms_that_run_at_the_same_time_are_compared() -> None:
    # Last month was harder: the champion was right in 82 %. Now both are right in 85 %.
    rng = np.random.default_rng(3)
    assert promoted(rng, 0.82, 0.85) >= 0.99
    assert promoted(rng, 0.85, 0.85) <= 0.03
    # A challenger finds nothing to be paired with in what its champion did before.
    course = Course(Plan())
    for _ in range(100):
        course.advance(1, 1)
    assert course.totals(0).contests[0].pairs == 0


def test_4_the_estimate_at_the_stop_is_too_large_and_the_band_is_not() -> None:
    rng = np.random.default_rng(4)
    wins, losses = walks.wins_and_losses(rng, *walks.discordant(0.85, 0.87), runs=RUNS)
    is_enough = walks.log_evidence(wins, losses) >= BOUND
    stopped = np.flatnonzero(is_enough.any(axis=1))
    at = is_enough[stopped].argmax(axis=1)
    estimates = (wins[stopped, at] - losses[stopped, at]) / walks.LOOKS[at]
    assert estimates.mean() == pytest.approx(0.027, abs=0.003)
    covered = 0
    for run, look in zip(stopped[:300], at[:300], strict=True):
        won, lost, pairs = int(wins[run, look]), int(losses[run, look]), int(walks.LOOKS[look])
        band = Differences(pairs, won, lost, {0: lost, STEPS: pairs - won - lost, 2 * STEPS: won}).band(0.05)
        covered += band.low <= 0.02 <= band.high
    assert covered / 300 >= 0.95


def test_5_what_is_fixed_stays_fixed_and_a_restart_spends_an_alpha_of_its_own() -> None:
    plan = Plan(alpha=0.05)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.alpha = 0.10  # type: ignore[misc]
    rng = np.random.default_rng(5)
    wins, losses = walks.wins_and_losses(rng, *walks.discordant(0.85, 0.85), runs=RUNS)
    tried_ten_times = is_promoted(wins, losses).reshape(-1, 10).any(axis=1)
    assert tried_ten_times.mean() >= 0.08
    assert is_promoted(wins, losses).mean() <= 0.03


def test_6_the_first_label_counts_and_a_correction_is_a_new_computation() -> None:
    # Somebody looks again at the challenger's mistakes only, and finds one in five to be none.
    rng = np.random.default_rng(6)
    assert promoted(rng, 0.85, 0.85 + 0.15 / 5) >= 0.99
    assert promoted(rng, 0.85, 0.85) <= 0.03
    # There is no way to take back a score: whoever corrects one goes through the log again.
    assert {name for name in vars(Course) if not name.startswith("_")} == {
        *("advance", "assign", "decision", "mean_scores", "point", "restored", "state", "totals", "watched", "withdraw")
    }


def test_7_rates_before_and_after_a_change_of_the_split_are_not_pooled() -> None:
    # Equal arms. First half and half, when all are right in 70 %; then a tenth and nine, when all are right in 90 %.
    rng, runs = np.random.default_rng(7), 500
    before = rng.random((2, runs, 4000)) < 0.7
    champion_after, challenger_after = rng.random((runs, 600)) < 0.9, rng.random((runs, 600, 9)) < 0.9
    pooled = (before[1].sum(axis=1) + challenger_after.sum(axis=(1, 2))) / (4000 + 5400)
    pooled_of_champion = (before[0].sum(axis=1) + champion_after.sum(axis=1)) / (4000 + 600)
    error = np.sqrt(pooled * (1 - pooled) / 9400 + pooled_of_champion * (1 - pooled_of_champion) / 4600)
    assert ((pooled - pooled_of_champion) / error >= 1.645).mean() >= 0.99

    # Each stage is a test of its own, and evidence of both is multiplied.
    first = walks.log_evidence(*counted(*before, every=100))
    assert pairing.block_sizes(0.1, 0.9) == (1, 9)
    levels = np.rint((challenger_after.mean(axis=2) - champion_after + 1) * STEPS).astype(int)
    used = np.arange(0, 2 * STEPS + 1, STEPS // 9)
    tallies = (levels[..., None] == used).cumsum(axis=1)[:, 19::20]
    second = np.concatenate([bounded.log_evidence(part, used) for part in np.array_split(tallies, 50)])
    both = np.concatenate([first, first[:, -1:] + second], axis=1)
    assert (both >= BOUND).any(axis=1).mean() <= 0.05


def test_8_failures_count_against_the_arm_that_they_happened_to() -> None:
    # Right in 85 % of all, but it fails in 3 %, where it is hard and it would have been wrong.
    assert ACCURACY.score(None, "yes") == 0
    rng = np.random.default_rng(8)
    assert promoted(rng, 0.85, 0.85 / 0.97) >= 0.98
    assert promoted(rng, 0.85, 0.85) <= 0.03
    # One that fails everywhere is as bad as it can be.
    assert mcnemar.log_evidence(0, 200) < mcnemar.log_evidence(0, 0)
