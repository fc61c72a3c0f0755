"""Scores in [0, 1], margins and uneven splits; simulated tests with fixed seeds, through the public functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_pipeline.stats import bounded, pairing
from ml_pipeline.stats.bounded import LEVELS, STAKES, STEPS, Differences
from ml_pipeline.stats.metrics import Answer, Metric, cap_of

BOUND = math.log(20)
WIN_TIE_LOSS = [0, STEPS, 2 * STEPS]


def tallied(differences: NDArray[np.float64], looks: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many differences of each run fall on each level at each look: (runs, looks, 361); all must fall on levels."""
    places = np.rint((differences + 1) * STEPS).astype(np.int64)
    np.testing.assert_allclose(LEVELS[places], differences, atol=1e-9)
    runs, size = places.shape
    period = np.searchsorted(looks, np.arange(size), side="right")
    counts = np.zeros((runs, len(looks) + 1, len(LEVELS)))
    np.add.at(counts, (np.arange(runs)[:, None], period[None, :], places), 1)
    return counts[:, : len(looks)].cumsum(axis=1)


def evidence_in_runs(counts: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.float64]:
    """The log evidence of each run at each look, from tallies (runs, looks, 361)."""
    used = np.flatnonzero(counts.any(axis=(0, 1)))
    return np.concatenate([bounded.log_evidence(run[None, :, used], used, margin) for run in counts])


def multinomial(
    rng: np.random.Generator, win: float, loss: float, runs: int, looks: int, step: int
) -> NDArray[np.float64]:
    """Losses, ties and wins of each run at each look, `step` pairs apart."""
    return rng.multinomial(np.full((runs, looks), step), [loss, 1 - win - loss, win]).cumsum(axis=1).astype(float)


def in_threes(counts: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.float64]:
    return np.concatenate([bounded.log_evidence(part, WIN_TIE_LOSS, margin) for part in np.array_split(counts, 100)])


def test_the_formula_is_that_of_waudby_smith_and_ramdas() -> None:
    rng = np.random.default_rng(1)
    drawn, margin = rng.integers(-STEPS, STEPS + 1, 500) / STEPS, 0.03
    differences = Differences()
    for difference in drawn:
        differences.add(float(difference))
    wealth = np.prod(1 + np.outer((drawn - margin) / (1 + margin), STAKES), axis=0)
    assert differences.log_evidence(margin) == pytest.approx(math.log(wealth.mean()), abs=1e-9)
    wealth = np.prod(1 + np.outer((margin - drawn) / (1 + margin), STAKES), axis=0)
    assert differences.log_evidence_below(margin) == pytest.approx(math.log(wealth.mean()), abs=1e-9)
    assert len(STAKES) == 80
    assert STAKES.max() == 0.95


def test_between_levels_evidence_is_understated_by_next_to_nothing_and_never_overstated() -> None:
    rng = np.random.default_rng(2)
    for scale in (0.01, 0.1, 0.5):
        drawn = np.clip(rng.normal(scale / 10, scale, 3000), -1, 1)
        differences = Differences()
        for difference in drawn:
            differences.add(float(difference))
        logs = np.log1p(np.outer(drawn, STAKES)).sum(axis=0)
        exact = logs.max() + math.log(np.exp(logs - logs.max()).mean())
        assert exact - 0.05 <= differences.log_evidence() <= exact + 1e-9


@pytest.mark.parametrize(("win", "loss"), [(0.1275, 0.1275), (0.02, 0.02), (0.4, 0.4)])
def test_without_a_difference_the_bound_is_crossed_as_seldom_as_promised(win: float, loss: float) -> None:
    counts = multinomial(np.random.default_rng(3), win, loss, 2000, 200, 50)
    assert (in_threes(counts) >= BOUND).any(axis=1).mean() <= 0.03


def test_a_margin_is_a_boundary_like_any_other() -> None:
    # The mean difference is the margin itself, 0.05.
    counts = multinomial(np.random.default_rng(4), 0.15, 0.10, 2000, 200, 50)
    assert (in_threes(counts, 0.05) >= BOUND).any(axis=1).mean() <= 0.035
    assert (in_threes(counts, 0.0) >= BOUND).any(axis=1).mean() >= 0.99


def test_a_canary_of_a_tenth_is_compared_in_blocks_of_nine_and_one() -> None:
    assert pairing.block_sizes(0.9, 0.1) == (9, 1)
    rng, looks = np.random.default_rng(5), np.arange(1, 41) * 50
    for accuracy, least, most in ((0.85, 0.0, 0.02), (0.92, 0.9, 1.0)):
        champion = rng.binomial(9, 0.85, (500, 2000)) / 9
        challenger = (rng.random((500, 2000)) < accuracy).astype(float)
        evidence = evidence_in_runs(tallied(challenger - champion, looks))
        assert least <= (evidence >= BOUND).any(axis=1).mean() <= most


def highest_evidence(scores: Iterator[tuple[float | None, float | None]]) -> float:
    """The most log evidence for the second of two arms, looked at every 50 pairs."""
    differences, peak = Differences(), 0.0
    for place, (champion, challenger) in enumerate(scores, start=1):
        assert champion is not None
        assert challenger is not None
        differences.add(challenger - champion)
        if place % 50 == 0:
            peak = max(peak, differences.log_evidence())
    return peak


def said_of_chances(rng: np.random.Generator, name: str, pairs: int, vague: float) -> Iterator[Any]:
    """Scores of two arms, each asked about cases of its own; the champion's chances are drawn towards one half."""
    metric = Metric(name)
    for truths in rng.beta(1, 1, (pairs, 2)).tolist():
        said = 0.5 + (truths[0] - 0.5) * vague, truths[1]
        outcomes = ["yes" if draw < truth else "no" for draw, truth in zip(rng.random(2), truths, strict=True)]
        yield tuple(
            metric.score(Answer(probabilities={"no": 1 - p, "yes": p}), outcome)
            for p, outcome in zip(said, outcomes, strict=True)
        )


def said_of_values(rng: np.random.Generator, name: str, pairs: int, vague: float) -> Iterator[Any]:
    """Scores of two arms that miss a value by an error of heavy tails, the champion by more."""
    reference = np.abs(rng.standard_t(3, 5000))
    metric = Metric(name, cap=cap_of(reference if name == "absolute_error" else reference**2))
    for errors in rng.standard_t(3, (pairs, 2)).tolist():
        yield metric.score(Answer(value=10 + errors[0] / vague), 10.0), metric.score(Answer(value=10 + errors[1]), 10.0)


@pytest.mark.parametrize(
    ("name", "said", "vague"),
    [
        ("brier", said_of_chances, 0.3),
        ("log_loss", said_of_chances, 0.3),
        ("absolute_error", said_of_values, 0.7),
        ("squared_error", said_of_values, 0.7),
    ],
)
def test_a_better_arm_is_found_by_every_metric_and_an_equal_one_is_not(
    name: str, said: Callable[..., Iterator[Any]], vague: float
) -> None:
    rng = np.random.default_rng(6)
    equal = [highest_evidence(said(rng, name, 1000, 1.0)) >= BOUND for _ in range(100)]
    better = [highest_evidence(said(rng, name, 2000, vague)) >= BOUND for _ in range(10)]
    assert np.mean(equal) <= 0.05
    assert np.mean(better) >= 0.9


@pytest.mark.parametrize("difference", [1.0000001, -1.1, math.nan, math.inf])
def test_what_is_no_difference_is_refused_and_changes_nothing(difference: float) -> None:
    differences = Differences()
    with pytest.raises(ValueError, match="between -1 and 1"):
        differences.add(difference)
    assert differences == Differences()


@pytest.mark.parametrize("margin", [1.5, -2.0, math.nan])
def test_what_is_no_margin_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        Differences().log_evidence(margin)
