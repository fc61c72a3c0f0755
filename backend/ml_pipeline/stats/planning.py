"""Planning: how many labels, and how long, a test will take; said before it starts and while it goes on.

What is said of anytime-valid tests is measured on the rule itself (α from 0.05 to 0.001) and true on average; of a
fixed horizon, at which one looks once, it is statsmodels'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml_pipeline.stats.pairing import block_sizes

# Pairs until a decision at α = 0.05, in units of variance / difference²: on average, and in 80 % of tests.
_MEAN_AT_05, _MOST_AT_05 = 8.0, 12.5


@dataclass(frozen=True, slots=True)
class Pairs:
    """How many pairs, or differences of blocks, a decision takes: on average, and at most in 80 % of tests."""

    mean: float
    most: float


def fixed_horizon_labels(champion: float, challenger: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many labels each of two arms needs for one look, at the end, that finds the better one with chance `power`.

    `champion` and `challenger` are accuracies in (0, 1). Source: statsmodels' samplesize_proportions_2indep_onetail.
    ValueError if the challenger is not better.
    """
    if not 0 < champion < challenger < 1:
        raise ValueError("accuracies lie between 0 and 1, and the challenger's is higher")
    # It brings pandas with it, which whoever only decides a test does not need.
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    size = samplesize_proportions_2indep_onetail(
        challenger - champion, champion, power, alpha=alpha, alternative="larger"
    )
    return math.ceil(float(size))


def variance_of_split(champion: float, challenger: float, weights: Sequence[float] = (0.5, 0.5)) -> float:
    """The variance of a difference when each request has one arm's answer, from the accuracies of the two.

    For even weights it is, but for the difference's square, the chance that just one of a pair is right. When all arms
    answer each request, that chance is less, and only observation tells it.
    """
    sizes = block_sizes(weights[0], weights[1])
    return champion * (1 - champion) / sizes[0] + challenger * (1 - challenger) / sizes[1]


def pairs(difference: float, variance: float, *, alpha: float = 0.05) -> Pairs:
    """How many pairs it takes to find a mean `difference` above the margin, where differences have this `variance`.

    For right and wrong answers the variance is, nearly, the share of discordant pairs. `alpha` is a challenger's:
    that of the test divided by their number. ValueError if nothing is to be found.
    """
    if difference <= 0 or variance <= 0 or not 0 < alpha < 1:
        raise ValueError("difference and variance are above 0, and alpha lies between 0 and 1")
    unit = variance / difference**2 * (1 - math.log(alpha)) / (1 - math.log(0.05))
    return Pairs(_MEAN_AT_05 * unit, _MOST_AT_05 * unit)


def time_s(
    differences: float, *, requests_per_s: float, label_rate: float, weights: Sequence[float] | None = (0.5, 0.5)
) -> float | None:
    """How many seconds it takes to gather so many pairs; None if they never come.

    `weights` are those of the champion and the challenger, as shares of all requests; None when both answer each
    request. `label_rate` is the share of requests whose outcome becomes known.
    """
    labels_per_s = requests_per_s * label_rate
    if weights is None:
        differences_per_s = labels_per_s
    else:
        sizes = block_sizes(weights[0], weights[1])
        differences_per_s = labels_per_s * min(weight / size for weight, size in zip(weights, sizes, strict=True))
    return differences / differences_per_s if differences_per_s > 0 else None
