"""Simulated tests, many at once: what several of these files share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_pipeline.stats import mcnemar

RUNS = 10_000
LOOKS = np.arange(1, 101) * 100  # pairs: 100 looks at 20,000 labels


def discordant(champion: float, challenger: float) -> tuple[float, float]:
    """The chances of a win and of a loss of the challenger, arms being independent."""
    return challenger * (1 - champion), champion * (1 - challenger)


def wins_and_losses(
    rng: np.random.Generator, win: float, loss: float, looks: NDArray[np.int64] = LOOKS, runs: int = RUNS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The counts of each run at each look, (runs, looks), from pairs won and lost with these chances."""
    steps = np.diff(looks, prepend=0)
    counts = rng.multinomial(np.broadcast_to(steps, (runs, len(steps))), [win, loss, 1 - win - loss])
    totals = counts.cumsum(axis=1)
    return totals[..., 0], totals[..., 1]


def log_evidence(wins: NDArray[np.int64], losses: NDArray[np.int64]) -> NDArray[np.float64]:
    """As the product says it, each pair of counts asked for once."""
    key, place = np.unique(wins * 10_000_000 + losses, return_inverse=True)
    return mcnemar.log_evidence(key // 10_000_000, key % 10_000_000)[place].reshape(wins.shape)


def wins_needed(most: int, bound: float) -> NDArray[np.int64]:
    """The fewest wins of 1, 2 … `most` discordant pairs whose log evidence is `bound` or more; one more if none."""
    total = np.arange(1, most + 1)
    low, high = total // 2, total + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        is_enough = mcnemar.log_evidence(middle, total - middle) >= bound
        high, low = np.where(is_enough, middle, high), np.where(is_enough, low, middle)
    return high


def first_crossings(rng: np.random.Generator, chance: float, needed: NDArray[np.int64], runs: int) -> NDArray[np.int64]:
    """The discordant pair at which each run first has the wins it needs, looked at after every one; -1 if never."""
    found = np.empty(runs, dtype=np.int64)
    for start in range(0, runs, 500):
        wins = (rng.random((min(500, runs - start), len(needed)), dtype=np.float32) < chance).cumsum(
            axis=1, dtype=np.int32
        )
        is_enough = wins >= needed
        found[start : start + len(wins)] = np.where(is_enough.any(axis=1), is_enough.argmax(axis=1) + 1, -1)
    return found
