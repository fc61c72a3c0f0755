"""Sentences: first of all who is ahead or what was decided, and what is to be done now."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from ml_pipeline.apps.abtests import clauses
from ml_pipeline.apps.abtests.models import Result
from ml_pipeline.apps.abtests.report import conditions
from ml_pipeline.apps.abtests.report.facts import ChallengerFacts, Facts
from ml_pipeline.charts import figures


class Lead(NamedTuple):
    """What stands at the top: a headline, what it rests on, and what to do now."""

    headline: str
    reasons: list[str]
    advice: list[str]


def lead(facts: Facts) -> Lead:
    """The lead for whatever has become of the test."""
    found = _running(facts) if facts.is_running else _over(facts)
    if facts.test.is_corrected:
        found.reasons.append("An outcome was corrected after it had been counted: see under Corrections.")
    return found


def _over(facts: Facts) -> Lead:
    tellers = {
        Result.PROMOTED: _promoted,
        Result.PROPOSED: _proposed,
        Result.STAYED: _stayed,
        Result.HARMFUL: _harmful,
        Result.ROLLED_BACK: _rolled_back,
    }
    return tellers[Result(facts.test.result or "")](facts)


def difference(facts: Facts, one: ChallengerFacts) -> str:
    """The difference to the champion with its band; the mean is never told alone."""
    if one.now["mean"] is None:
        return f"Nothing is known yet of how {one.name} compares with {facts.champion}: no answers were paired."
    if one.now["low"] <= -1 and one.now["high"] >= 1:
        return f"Too little is known of how {one.name} compares with {facts.champion}: every difference is possible."
    told = facts.scale.sentence(one.now["mean"], *one.band)
    return f"With {one.name} instead of {facts.champion}, {told}."


def allowed(facts: Facts, one: ChallengerFacts) -> str:
    """The largest difference, either way, that the data still allow."""
    found = facts.scale.allowed(*one.band)
    return f"The largest difference that the data still allow: with {one.name} instead of {facts.champion}, {found}."


def evidence(one: ChallengerFacts) -> str:
    """How strong the evidence for a challenger is now, and how strong it has to be."""
    strength, bound = one.now["log_evidence"], figures.evidence(one.now["log_evidence_bound"])
    if strength <= 0:
        return f"There is no evidence that {one.name} is better; {bound} is needed."
    return f"The evidence that {one.name} is better is {figures.evidence(strength)}; {bound} is needed."


def _running(facts: Facts) -> Lead:
    stop = f"To end it now: `ml-pipeline abtest stop {facts.test.pk}`. Without enough evidence the champion stays."
    if not facts.labels:
        given = figures.counted(facts.test.units, "unit has", "units have")
        return Lead(
            "Nothing is known yet: no label has come",
            [f"{given} been answered, and of no answer the true outcome is known. Without labels nothing is decided."],
            ["Send the true outcomes as feedback on the answers, one by one or in bulk.", stop],
        )
    spoilt = conditions.spoilt(facts)
    if spoilt:
        reasons = [f"The arms cannot be compared: {' and '.join(spoilt)}. So nobody is promoted, whatever else comes."]
        advice = [
            f"Stop it (`ml-pipeline abtest stop {facts.test.pk}`), find out why, and start another one.",
            "Usual causes: feedback that is sent for one arm's answers only, or requests that are lost or repeated "
            "when an arm is slow.",
        ]
        return Lead("This test cannot promote anybody any more", [*reasons, *_compared(facts)], advice)
    then = "the winner goes into production" if facts.test.promotes else "the winner is proposed to a person"
    advice = [f"Leave it running. It decides by itself as soon as the evidence is there: {then}.", stop]
    return Lead(_undecided(facts), [*_standing(facts), *_compared(facts)], advice)


def _undecided(facts: Facts) -> str:
    missing = facts.standing["outlook"]
    if facts.leader.now["log_evidence_peak"] >= facts.leader.now["log_evidence_bound"]:
        return f"The evidence for {facts.leader.name} is there; the plan wants it to wait"
    if missing["labels"] is None:
        return "Not decided yet, and nobody can say how long it takes"
    time = "" if missing["seconds"] is None else f", {figures.span(missing['seconds'])} at the present pace"
    return f"Not decided yet: about {figures.counted(figures.roughly(missing['labels']), 'more label')}{time}"


def _standing(facts: Facts) -> list[str]:
    one = facts.leader
    strength = evidence(one)
    if one.now["log_evidence_peak"] >= one.now["log_evidence_bound"]:
        return [f"What is missing: {'; '.join(conditions.missing(facts, one.arm.number))}."]
    if one.now["mean"] is None or one.now["mean"] <= facts.terms.plan.margin:
        return [f"No challenger looks better so far. {strength}"]
    chance = "" if one.now["low"] > facts.terms.plan.margin else ", but that may still be chance"
    return [f"As things look {one.name} is ahead{chance}. {strength}"]


def _compared(facts: Facts) -> list[str]:
    said = [difference(facts, one) for one in facts.remaining]
    return said + [withdrawn(facts, one) for one in facts.challengers if one.arm.withdrawal]


def _better(facts: Facts) -> list[str]:
    one = facts.leader
    said = [difference(facts, one)]
    if one.now["low"] <= 0:
        said.append(
            "The band looks both ways, and is therefore a little wider than the decision needs: that asks only whether "
            "it is better, and of that the evidence is enough."
        )
    return said


def _ended(facts: Facts) -> str:
    return figures.moment(facts.test.ended_at or facts.test.created_at)


def _promoted(facts: Facts) -> Lead:
    one, place = facts.leader, facts.test.parent_endpoint.name
    reasons = [*_better(facts), f"It went into production on {_ended(facts)}."]
    advice = [
        "Nothing has to be done.",
        f"Should it turn out wrong all the same: `ml-pipeline rollback {place}` puts {facts.champion} back.",
    ]
    return Lead(f"Decided: {one.name} is better, and went into production", reasons, advice)


def _proposed(facts: Facts) -> Lead:
    one, place = facts.leader, facts.test.parent_endpoint.name
    reasons = [*_better(facts), f"Until a person promotes it, {facts.champion} stays in production."]
    command = f"ml-pipeline promote {place} {shlex.quote(one.arm.version)}"
    advice = [f"Promote it: `{command}`. Or decide against it: then nothing has to be done."]
    return Lead(f"Decided: {one.name} is better, and waits for a person to promote it", reasons, advice)


def _stayed(facts: Facts) -> Lead:
    certificate = facts.certificate or {}
    by = "Stopped" if certificate.get("is_stopped") else "Ended"
    headline = f"{by} without a decision: {facts.champion} stays in production"
    if not facts.labels:
        reasons = ["No label has come, so nothing is known of any arm."]
        return Lead(headline, reasons, ["Before another test, see to it that feedback comes."])
    reasons = [] if certificate.get("is_stopped") else [_at_maximum(facts)]
    reasons += [_because(facts, one) for one in facts.remaining]
    reasons += [allowed(facts, one) for one in facts.remaining]
    advice = ["Nothing has to be done."]
    labels = facts.standing["outlook"]["labels"]
    if labels:
        advice += [
            f"If it matters: as things looked, about {figures.counted(figures.roughly(labels), 'more label')} would "
            "have decided it on average. Start a new, longer test; the labels of this one do not count in it. "
            "`ml-pipeline abtest plan` says how long it takes."
        ]
    return Lead(headline, reasons, advice)


def _because(facts: Facts, one: ChallengerFacts) -> str:
    why = "; ".join(conditions.missing(facts, one.arm.number))
    return f"It was not shown that {one.name} is better than {facts.champion}: {why}."


def _at_maximum(facts: Facts) -> str:
    plan = facts.terms.plan
    if plan.max_time_s is not None and facts.standing["elapsed_s"] >= plan.max_time_s:
        return f"The longest time of the plan, {figures.span(plan.max_time_s)}, was over."
    return f"The most labels of the plan, {plan.max_labels or facts.labels:,}, had come."


def _harmful(facts: Facts) -> Lead:
    one = "the only challenger" if len(facts.challengers) == 1 else "every challenger"
    reasons = [sentence for each in facts.challengers for sentence in (withdrawn(facts, each), difference(facts, each))]
    advice = [f"Nothing has to be done. Find out what went wrong before {one} comes into another test."]
    return Lead(f"The champion, {facts.champion}, stays in production: {one} did harm", reasons, advice)


def withdrawn(facts: Facts, one: ChallengerFacts) -> str:
    """When and why a challenger left."""
    left = one.arm.withdrawal or {}
    why = " and ".join(clauses.alarm(gate) for gate in left["gates"])
    return (
        f"On {figures.moment(facts.after(left['elapsed_s']))}, after {figures.counted(left['units'], 'unit')} and "
        f"{figures.counted(left['observations'], 'label')} of all arms, {one.name} was withdrawn, because {why}."
    )


def _rolled_back(facts: Facts) -> Lead:
    by = (facts.certificate or {}).get("decided_by", "")
    reasons = [f"On {_ended(facts)} {by} rolled the endpoint back, which ended the test. Nothing was decided by it."]
    if facts.labels:
        reasons += [allowed(facts, one) for one in facts.remaining]
    advice = ["If the question is still open, start a new test; the labels of this one do not count in it."]
    return Lead(f"Rolled back: {facts.champion} is in production again", reasons, advice)
