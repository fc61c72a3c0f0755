"""Explained: what was tested, what the guardrails saw, and why the decision holds however often one looks."""

from __future__ import annotations

from typing import NamedTuple

from ml_pipeline.apps.abtests import clauses
from ml_pipeline.apps.abtests.report.facts import ChallengerFacts, Facts
from ml_pipeline.apps.abtests.terms import SLOW
from ml_pipeline.charts import figures


class Term(NamedTuple):
    """A term of the test and what it is."""

    name: str
    text: str


class Watch(NamedTuple):
    """A guardrail over one challenger: shares of bad answers of every 100 more than the champion's, and a sentence."""

    challenger: str
    what: str
    mean: float | None
    shown_mean: str
    low: float
    high: float
    shown_band: str
    allowed: str
    is_quiet: bool


def terms(facts: Facts) -> list[Term]:
    """What was tested, when and by whom."""
    test, plan, scale = facts.test, facts.terms.plan, facts.scale
    found = [
        Term("Endpoint", test.parent_endpoint.name),
        Term("Champion", f"{facts.champion}, {_weight(facts, 0)}"),
        *(Term(_challenger(facts), f"{one.name}, {_weight(facts, one.arm.number)}") for one in facts.challengers),
        Term("Compared by", f"{scale.title}. {scale.meaning}"),
        Term("Started", f"{figures.moment(test.created_at)}, by {test.created_by}"),
        _end(facts),
        Term("A wrong promotion", f"has a probability of {_percent(plan.alpha)} at most"),
        Term("Ends at the latest", _maximum(facts)),
        Term("The winner", "goes into production by itself" if test.promotes else "is proposed to a person"),
    ]
    if plan.margin:
        found.insert(4, Term("Margin", _margin(facts)))
    return found


def _challenger(facts: Facts) -> str:
    return "Challenger" if len(facts.challengers) == 1 else "A challenger"


def _weight(facts: Facts, number: int) -> str:
    weights = facts.terms.plan.weights
    return f"with {figures.share(weights[number] / sum(weights))} of the units"


def _percent(part: float) -> str:
    return f"{100 * part:g} %"


def _margin(facts: Facts) -> str:
    margin, scale = facts.terms.plan.margin, facts.scale
    words = scale.frame.format(scale.amount(margin, figures.places(abs(margin) * scale.factor)))
    if margin > 0:
        return f"A challenger has to be better by more than this: {words}"
    return f"A challenger may be worse, but not by as much as this: {words}"


def _maximum(facts: Facts) -> str:
    plan = facts.terms.plan
    found = [] if plan.max_labels is None else [f"after {figures.counted(plan.max_labels, 'label')}"]
    found += [] if plan.max_time_s is None else [f"after {figures.span(plan.max_time_s)}"]
    return " or ".join(found) or "when a person stops it: neither labels nor time were limited"


def _end(facts: Facts) -> Term:
    after = figures.span(facts.standing["elapsed_s"])
    if facts.test.ended_at is None or facts.certificate is None:
        return Term("Running", f"for {after}")
    by = facts.certificate["decided_by"]
    who = f"by {by}" if facts.certificate["is_stopped"] else "by its own rule"
    return Term("Ended", f"{figures.moment(facts.test.ended_at)}, {who}, after {after}")


def guardrails(facts: Facts) -> list[Watch]:
    """What each guardrail saw of each challenger; empty where none was set."""
    return [_watch(facts, one, place) for one in facts.challengers for place in range(len(facts.terms.plan.guardrails))]


def _watch(facts: Facts, one: ChallengerFacts, place: int) -> Watch:
    seen = one.now["guardrails"][place]
    mean, low, high = seen["mean"], seen["low"], seen["high"]
    what = clauses.BAD[seen["name"]].capitalize()
    if seen["name"] == SLOW:
        what += f" (over {(facts.terms.objective_us or 0) / 1_000:g} ms)"
    digits = figures.places(100 * (high - low))
    return Watch(
        challenger=one.name,
        what=what,
        mean=mean,
        shown_mean="no pair yet" if mean is None else figures.signed(100 * mean, digits),
        low=low,
        high=high,
        shown_band=f"{figures.signed(100 * low, digits)} to {figures.signed(100 * high, digits)}",
        allowed=f"+{100 * seen['margin']:g}",
        is_quiet=seen["log_evidence_peak"] < seen["log_evidence_bound"],
    )


def correction(facts: Facts) -> str:
    """Whether an outcome was corrected after it had been counted, and what follows from it."""
    if not facts.test.is_corrected:
        return "No outcome was corrected after it had been counted."
    return (
        "At least one outcome was corrected after it had been counted. The first one counts, so that nobody can steer "
        "a test by corrections; but what is promised below holds of the first outcomes. "
        f"`ml-pipeline abtest verify {facts.test.pk}` says, once the test is over, what the latest ones would have "
        "decided."
    )


def rule(facts: Facts) -> list[str]:
    """How it is decided, and why looking often does no harm."""
    plan, bound = facts.terms.plan, figures.evidence(facts.terms.plan.evidence_bound)
    odds = bound.rpartition(figures.ONE_TO)[2]
    many = len(facts.challengers) > 1
    whole = f"{_percent(plan.alpha)} at most" + (", all challengers together" if many else "")
    worse = "no better by more than the margin" if plan.margin > 0 else "no better"
    worse = "worse by the margin or more" if plan.margin < 0 else worse
    return [
        "Only units count that were answered during the test, each with its first outcome; answers without an outcome "
        "are neither right nor wrong. Outcomes of a challenger are paired with outcomes of the champion in the order "
        f"in which they came{_blocks(facts)}, and after every pair the evidence is reckoned anew.",
        "Evidence is like the purse of somebody who bets on the challenger in a fair game. It begins at 1. If the "
        f"challenger is {worse}, the probability that the purse ever holds {odds} times as much, at any time of the "
        f"test, is 1 in {odds} at most. That is what “{bound}” says.",
        "Therefore it does no harm to look often, or to stop a test whenever one likes. The probability that this test "
        f"promotes a challenger that is {worse} is {whole}. The bands hold in the same way: with a probability of "
        f"{_percent(1 - plan.alpha)} at least, the true difference is inside of them at all times at once.",
        "A test that ends when a challenger looks good ends, on average, at a number that is too good. So trust the "
        "band and not the number in its middle. And what was fixed at the start, the plan above, has not changed.",
    ]


def _blocks(facts: Facts) -> str:
    sizes = facts.terms.plan.block_sizes(1)
    if len(facts.challengers) > 1 or sizes == (1, 1):
        return "" if sizes == (1, 1) else ", in blocks that fit the shares"
    return f", the mean of {sizes[0]} of the champion with the mean of {sizes[1]} of the challenger"
