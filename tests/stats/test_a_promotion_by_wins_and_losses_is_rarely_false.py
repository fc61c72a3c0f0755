"""The acceptance figures: 10,000 tests each, accuracy 0.85, 20,000 labels, even split, α = 0.05, fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import walks

from ml_pipeline.stats.plans import Plan

BOUND = Plan(alpha=0.05).evidence_bound


def share_promoted(evidence: np.ndarray) -> float:
    return float((evidence >= BOUND).any(axis=1).mean())


def test_equal_arms_looked_at_a_hundred_times() -> None:
    evidence = walks.log_evidence(*walks.wins_and_losses(np.random.default_rng(1), *walks.discordant(0.85, 0.85)))
    assert share_promoted(evidence) <= 0.03


def test_a_better_challenger_is_found_and_soon() -> None:
    evidence = walks.log_evidence(*walks.wins_and_losses(np.random.default_rng(2), *walks.discordant(0.85, 0.87)))
    is_promoted = (evidence >= BOUND).any(axis=1)
    labels = np.where(is_promoted, 2 * walks.LOOKS[(evidence >= BOUND).argmax(axis=1)], 20_000)
    assert is_promoted.mean() >= 0.90
    assert labels.mean() <= 9600


def test_a_worse_challenger_is_hardly_ever_promoted() -> None:
    evidence = walks.log_evidence(*walks.wins_and_losses(np.random.default_rng(3), *walks.discordant(0.85, 0.84)))
    assert share_promoted(evidence) <= 0.005


def test_equal_arms_looked_at_after_every_pair() -> None:
    rng = np.random.default_rng(4)
    needed = walks.wins_needed(3000, BOUND)
    crossed_at = walks.first_crossings(rng, 0.5, needed, walks.RUNS)
    # Of 10,000 pairs 25.5 % are discordant: so many of them each run has.
    discordant = rng.binomial(10_000, sum(walks.discordant(0.85, 0.85)), walks.RUNS)
    assert ((crossed_at > 0) & (crossed_at <= discordant)).mean() <= 0.03


def test_without_a_maximum_it_takes_as_long_as_was_measured() -> None:
    looks = np.arange(1, 801) * 100
    chances = walks.discordant(0.85, 0.87)
    is_enough = walks.log_evidence(*walks.wins_and_losses(np.random.default_rng(5), *chances, looks, 1000)) >= BOUND
    assert is_enough.any(axis=1).all()
    labels = 2 * looks[is_enough.argmax(axis=1)]
    assert labels.mean() == pytest.approx(9890, rel=0.06)
    assert np.median(labels) == pytest.approx(8800, rel=0.1)
    assert np.quantile(labels, 0.9) == pytest.approx(18_800, rel=0.08)


def test_pairs_of_the_same_requests_decide_with_a_fraction_of_the_labels() -> None:
    # Shadow: 85 against 87 where the arms disagree on 4, 10 or 20 % of the requests.
    for discordance, known in ((0.04, 1037), (0.10, 2116), (0.20, 3814)):
        needed = walks.wins_needed(8000, BOUND)
        chance = 0.5 + 0.02 / discordance / 2
        crossed_at = walks.first_crossings(np.random.default_rng(6), chance, needed, 2000)
        assert (crossed_at > 0).all()
        assert crossed_at.mean() / discordance == pytest.approx(known, rel=0.1)


def test_several_challengers_share_one_alpha() -> None:
    # Three challengers no better than the champion, all compared with the same answers of it, at α/3 each.
    rng = np.random.default_rng(7)
    bound = Plan(weights=(1, 1, 1, 1)).evidence_bound
    assert bound == pytest.approx(math.log(3 / 0.05))
    shape = (1000, 100, 100)  # runs, looks, pairs between looks
    champion = rng.random(shape, dtype=np.float32) < 0.85
    is_promoted = np.zeros(1000, dtype=bool)
    for _ in range(3):
        challenger = rng.random(shape, dtype=np.float32) < 0.85
        wins = (challenger & ~champion).sum(axis=2).cumsum(axis=1)
        losses = (champion & ~challenger).sum(axis=2).cumsum(axis=1)
        is_promoted |= (walks.log_evidence(wins, losses) >= bound).any(axis=1)
    assert is_promoted.mean() <= 0.03
