"""Outlook: how many labels a test will take, or lacks for a decision, and how long they will take to come."""

from __future__ import annotations

import math
from typing import NamedTuple

from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.stats import planning
from ml_pipeline.stats.bounded import LEVELS
from ml_pipeline.stats.decisions import ContestTotals
from ml_pipeline.stats.pairing import block_sizes


class Outlook(NamedTuple):
    """For the challenger that is ahead, `arm`: labels of all arms that are missing until its promotion, on average, and
    the seconds in which they come if they come as until now.

    None where nothing says so: no challenger is left, none is better as it looks, or no label has come.
    """

    arm: int | None
    labels: int | None
    seconds: float | None


def of(tally: Tally, elapsed_s: float) -> Outlook:
    """What is missing, as things look after `elapsed_s` seconds."""
    totals = tally.course.totals(elapsed_s)
    remaining = [arm for arm in tally.terms.plan.challengers if arm not in tally.withdrawn]
    if not remaining:
        return Outlook(None, None, None)
    arm = max(remaining, key=lambda one: totals.contests[one - 1].log_evidence)
    labels = _missing(tally, arm, totals.contests[arm - 1])
    if labels is None or not tally.labels or elapsed_s <= 0:
        return Outlook(arm, labels, None)
    seconds = max(labels * elapsed_s / tally.labels, tally.terms.plan.min_time_s - elapsed_s, 0.0)
    return Outlook(arm, labels, seconds)


def _missing(tally: Tally, arm: int, contest: ContestTotals) -> int | None:
    plan = tally.terms.plan
    until_least = max(plan.min_labels - tally.labels, 0)
    if contest.log_evidence_peak >= plan.evidence_bound:
        return until_least
    mean, variance = _moments(tally, arm)
    if mean is None or mean <= plan.margin or variance <= 0:
        return None
    wanted = planning.pairs(mean - plan.margin, variance, alpha=plan.alpha / len(plan.challengers)).mean
    # A pair takes so many labels of the challenger, and those of all others that come meanwhile.
    share = plan.weights[arm] / sum(plan.weights)
    labels = max(wanted - contest.pairs, 1.0) * plan.block_sizes(arm)[1] / share
    return max(math.ceil(labels), until_least)


def _moments(tally: Tally, arm: int) -> tuple[float | None, float]:
    """The mean and the variance of the differences so far."""
    tallied = tally.course.state()["contests"][arm - 1]["scores"]["differences"]
    count = tallied["count"]
    if not count:
        return None, 0.0
    parts = [(float(LEVELS[int(level)]), number) for level, number in dict(tallied["tally"]).items()]
    mean = math.fsum(value * number for value, number in parts) / count
    return mean, math.fsum(value * value * number for value, number in parts) / count - mean * mean


class Planned(NamedTuple):
    """What a test of two arms takes to find the better one: labels of both arms, and seconds; on average, and at most
    in 80 % of tests. `fixed_labels` is what one look at the end takes, with the power 0.8.

    Seconds are None where no label ever comes.
    """

    mean_labels: int
    most_labels: int
    mean_seconds: float | None
    most_seconds: float | None
    fixed_labels: int


def planned(
    champion: float,
    challenger: float,
    *,
    share: float = 0.5,
    alpha: float = 0.05,
    requests_per_s: float = 1.0,
    label_rate: float = 1.0,
) -> Planned:
    """How long it takes to find that `challenger` is right more often than `champion`, given their accuracies.

    `share` is the challenger's share of units, `label_rate` the share of requests whose outcome becomes known.
    ValueError where the challenger is not better.
    """
    weights = (1.0 - share, share)
    fixed = planning.fixed_horizon_labels(champion, challenger, alpha=alpha)
    variance = planning.variance_of_split(champion, challenger, weights)
    pairs = planning.pairs(challenger - champion, variance, alpha=alpha)
    size = block_sizes(*weights)[1]
    seconds = [
        planning.time_s(one, requests_per_s=requests_per_s, label_rate=label_rate, weights=weights)
        for one in (pairs.mean, pairs.most)
    ]
    labels = [math.ceil(one * size / share) for one in (pairs.mean, pairs.most)]
    return Planned(labels[0], labels[1], seconds[0], seconds[1], 2 * fixed)
