"""Clauses: what keeps a challenger from being promoted, gate by gate, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_pipeline.apps.abtests import terms
from ml_pipeline.charts import figures

BAD = {terms.ERRORS: "failed answers", terms.SLOW: "slow answers"}
# Of these a test does not recover.
SPOILT = {
    "sample_ratio": "units did not go to the arms in the shares of the plan",
    "label_parity": "labels come more often for one arm than for another",
}


def of(gate: Mapping[str, Any]) -> str:
    """Why a gate, as JSON has it, keeps whom it concerns from being promoted."""
    value, bound = gate["value"], gate["bound"]
    if gate["name"] in SPOILT:
        return SPOILT[gate["name"]]
    if gate["name"] == "labels":
        return f"{value:,.0f} of at least {bound:,.0f} labels have come"
    if gate["name"] == "time":
        return f"{figures.span(value)} of at least {figures.span(bound)} are over"
    if gate["name"] == "evidence":
        found = "there was no evidence for it" if value <= 0 else f"the evidence came to {figures.evidence(value)}"
        return f"{found}, and {figures.evidence(bound)} is needed"
    if gate["name"] == "discordant":
        return "in no pair of answers one was better than the other"
    return alarm(gate)


def alarm(gate: Mapping[str, Any]) -> str:
    """Why an alarm withdraws an arm, in a clause."""
    kind = gate["name"].removeprefix("guardrail:")
    what = f"it gave more {BAD[kind]} than is allowed" if kind in BAD else "it was worse than the champion"
    return f"{what}: evidence {figures.evidence(gate['value'])}, the alarm is at {figures.evidence(gate['bound'])}"
