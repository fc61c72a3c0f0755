from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from ml_pipeline.stats import decisions
from ml_pipeline.stats.decisions import ContestTotals, Decision, Totals
from ml_pipeline.stats.plans import Guardrail, Plan

PLAN = Plan(
    min_labels=500, max_labels=20_000, min_time_s=3600, max_time_s=86_400, guardrails=(Guardrail("slow", 0.01),)
)
CONTEST = ContestTotals(
    pairs=1000,
    wins=160,
    losses=100,
    log_evidence=2.0,
    log_evidence_peak=4.0,
    log_harm_peak=0.0,
    log_guardrail_peaks=(0.0,),
)
TOTALS = Totals(
    elapsed_s=4000,
    labels=(1000, 1000),
    units=(5000, 5000),
    log_sample_ratio_peak=1.0,
    log_label_parity_peak=1.0,
    contests=(CONTEST,),
)


def decided(
    plan: Plan = PLAN, *, is_stopped: bool = False, contest: dict[str, Any] | None = None, **changes: Any
) -> Decision:
    contests = (dataclasses.replace(CONTEST, **(contest or {})),)
    totals = dataclasses.replace(TOTALS, **{"contests": contests, **changes})
    return decisions.decide(plan, totals, is_stopped=is_stopped)


def test_a_challenger_that_passes_every_gate_is_promoted_though_its_evidence_has_fallen_since() -> None:
    decision = decided()
    assert (decision.outcome, decision.arm) == ("promote", 1)
    assert {gate.name: (gate.value, gate.bound) for gate in decision.gates} == {
        "labels": (2000, 500),
        "time": (4000, 3600),
        "sample_ratio": (1.0, math.log(1000)),
        "label_parity": (1.0, math.log(100)),
        "evidence": (4.0, math.log(20)),
        "discordant": (260, 1),
        "harm": (0.0, -math.log(0.01)),
        "guardrail:slow": (0.0, -math.log(0.01)),
    }
    assert all(gate.is_passed for gate in decision.gates)


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("labels", {"labels": (200, 299)}),
        ("time", {"elapsed_s": 3599}),
        ("sample_ratio", {"log_sample_ratio_peak": math.log(1000)}),
        ("label_parity", {"log_label_parity_peak": math.log(100)}),
        ("evidence", {"contest": {"log_evidence_peak": 2.9957}}),
        ("discordant", {"contest": {"wins": 0, "losses": 0}}),
    ],
)
def test_one_gate_that_is_not_passed_is_enough(gate: str, changes: dict[str, Any]) -> None:
    decision = decided(**changes)
    assert (decision.outcome, decision.arm) == ("undecided", None)
    assert [failed.name for failed in decision.failed(1)] == [gate]
    assert decided(is_stopped=True, **changes).outcome == "stay"


@pytest.mark.parametrize(
    ("gate", "contest"),
    [("harm", {"log_harm_peak": 4.7}), ("guardrail:slow", {"log_guardrail_peaks": (4.7,)})],
)
def test_harm_goes_before_all_else_and_waits_for_nothing(gate: str, contest: dict[str, Any]) -> None:
    for decision in (decided(contest=contest), decided(contest=contest, elapsed_s=1, labels=(10, 10), is_stopped=True)):
        assert (decision.outcome, decision.arm) == ("harm", 1)
        assert gate in [failed.name for failed in decision.failed(1)]


def test_at_the_maximum_the_champion_stays() -> None:
    weak = {"log_evidence_peak": 1.0}
    assert decided(contest=weak, labels=(10_000, 9999)).outcome == "undecided"
    assert decided(contest=weak, labels=(10_000, 10_000)).outcome == "stay"
    assert decided(contest=weak, elapsed_s=86_400).outcome == "stay"
    assert decided(labels=(10_000, 10_000)).outcome == "promote"
    # The maximum of labels waits for the minimum of time.
    assert decided(labels=(10_000, 10_000), elapsed_s=3599).outcome == "undecided"


def test_without_a_maximum_it_goes_on() -> None:
    endless = Plan()
    totals = dataclasses.replace(
        TOTALS, contests=(dataclasses.replace(CONTEST, log_evidence_peak=0, log_guardrail_peaks=()),)
    )
    assert decisions.decide(endless, dataclasses.replace(totals, elapsed_s=1e12)).outcome == "undecided"


def test_without_any_feedback_the_champion_stays() -> None:
    nothing = ContestTotals(0, 0, 0, 0.0, 0.0, 0.0, (0.0,))
    decision = decided(is_stopped=True, labels=(0, 0), contests=(nothing,))
    assert decision.outcome == "stay"
    assert [gate.name for gate in decision.failed(1)] == ["labels", "evidence", "discordant"]


def test_of_several_challengers_the_one_with_the_most_evidence_is_promoted() -> None:
    plan = dataclasses.replace(PLAN, weights=(2, 1, 1, 1), guardrails=())
    base = dataclasses.replace(CONTEST, log_guardrail_peaks=(), log_evidence_peak=5.0)

    def of(*contests: ContestTotals) -> Decision:
        totals = dataclasses.replace(TOTALS, labels=(800, 400, 400, 400), units=(1, 1, 1, 1), contests=contests)
        return decisions.decide(plan, totals)

    best = dataclasses.replace(base, log_evidence=4.5)
    assert of(base, best, base).arm == 2
    # At α/3 each, 4 is not enough: log 60 is 4.09.
    weak = dataclasses.replace(base, log_evidence_peak=4.0)
    assert of(weak, weak, weak).outcome == "undecided"
    # A harmful one goes first; once it is withdrawn the others are looked at.
    harmful = dataclasses.replace(base, log_harm_peak=9.0)
    assert (of(best, base, harmful).outcome, of(best, base, harmful).arm) == ("harm", 3)
    withdrawn = dataclasses.replace(harmful, is_withdrawn=True, log_evidence=9.0)
    assert (of(best, base, withdrawn).outcome, of(best, base, withdrawn).arm) == ("promote", 1)
    assert of(withdrawn, withdrawn, withdrawn).outcome == "stay"


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (1.0,)},
        {"weights": (1.0, 0.0)},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"harm_alpha": 2.0},
        {"margin": 1.0},
        {"min_labels": -1},
        {"min_labels": 100, "max_labels": 99},
        {"max_labels": 0},
        {"min_time_s": -1.0},
        {"min_time_s": 10.0, "max_time_s": 9.0},
        {"guardrails": (Guardrail("slow", 0.01), Guardrail("slow", 0.02))},
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Plan(**wrong)


@pytest.mark.parametrize("wrong", [{"margin": -0.1}, {"margin": 1.0}, {"margin": 0.1, "alpha": 0.0}])
def test_a_guardrail_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="guardrail"):
        Guardrail("slow", **wrong)
