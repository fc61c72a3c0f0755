"""Conditions: the gates of a promotion as a list in words, and what keeps a challenger from it in a clause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_pipeline.apps.abtests import clauses, terms
from ml_pipeline.apps.abtests.report.facts import Facts
from ml_pipeline.charts import figures

# What a gate can be. Nobody waits any more for what was not reached.
PASSED, WAITS, NOT_REACHED, FAILED = "passed", "not yet", "not reached", "failed"
_WAITING = ("labels", "time", "evidence", "discordant")


class Condition(NamedTuple):
    """A gate: one of the words above, what is asked, and how it stands."""

    word: str
    title: str
    detail: str


def of_test(facts: Facts) -> list[Condition]:
    """The conditions that concern the whole test."""
    return [_condition(facts, gate, "") for gate in facts.gates]


def of_challenger(facts: Facts, number: int) -> list[Condition]:
    """Those of one challenger; none of one that was withdrawn."""
    one = facts.challengers[number - 1]
    return [_condition(facts, gate, one.name) for gate in one.gates]


def spoilt(facts: Facts) -> list[str]:
    """Why nobody can be promoted any more, in clauses; empty as long as somebody can."""
    rung = (gate["name"] for gate in facts.gates if not gate["is_passed"])
    return [clauses.SPOILT[name] for name in rung if name in clauses.SPOILT]


def missing(facts: Facts, number: int) -> list[str]:
    """What keeps a challenger from being promoted, in clauses."""
    one = facts.challengers[number - 1]
    return [clauses.of(gate) for gate in (*facts.gates, *one.gates) if not gate["is_passed"]]


def _condition(facts: Facts, gate: Mapping[str, Any], name: str) -> Condition:
    if gate["is_passed"]:
        word = PASSED
    elif gate["name"] in _WAITING:
        word = WAITS if facts.is_running else NOT_REACHED
    else:
        word = FAILED
    return Condition(word, _title(gate["name"], name), _detail(gate))


def _title(gate: str, name: str) -> str:
    titles = {
        "labels": "Enough labels",
        "time": "Long enough",
        "sample_ratio": "The arms get the shares of the plan",
        "label_parity": "Labels come in the shares of the plan, too",
        "evidence": f"Enough evidence that {name} is better",
        "discordant": f"{name} answers differently from the champion",
        "harm": f"{name} is not worse than the champion",
        f"guardrail:{terms.ERRORS}": f"{name} does not fail more often",
        f"guardrail:{terms.SLOW}": f"{name} is not slow more often",
    }
    return titles[gate]


def _detail(gate: Mapping[str, Any]) -> str:
    name, value, bound = gate["name"], gate["value"], gate["bound"]
    if name == "labels":
        least = f"at least {bound:,.0f} were wanted" if bound else "no least number was set"
        return f"{figures.counted(int(value), 'label has', 'labels have')} come; {least}."
    if name == "time":
        least = f"at least {figures.span(bound)} were wanted" if bound else "no least time was set"
        return f"{figures.span(value)} since the start; {least}."
    if name == "evidence":
        found = "There was none so far" if value <= 0 else f"It was {figures.evidence(value)} at its highest"
        return f"{found}; {figures.evidence(bound)} is needed."
    if name == "discordant":
        return f"In {figures.counted(int(value), 'pair')} of answers one was better than the other; one such is needed."
    against = figures.evidence(value)
    found = "Nothing speaks against it" if value <= 0 else f"Evidence against it: {against} at its highest"
    return f"{found}; the alarm is at {figures.evidence(bound)}."
