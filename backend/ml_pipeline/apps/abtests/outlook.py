"""Outlook: how many labels a running or stopped test lacks for a decision, and how long they will take."""

from __future__ import annotations

import math
from typing import NamedTuple

from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.stats import planning
from ml_pipeline.stats.bounded import LEVELS
from ml_pipeline.stats.decisions import ContestTotals


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
