"""The rule by which a test is decided: one pure function from totals to a decision, with every gate it looked at.

The worker, the certificate's verification and the self-test all ask this one. Evidence counts at its highest so far:
what was once enough remains so, which Ville's inequality allows, and an alarm that rang stays rung.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ml_pipeline.stats import ratios
from ml_pipeline.stats.plans import Plan


class Outcome(StrEnum):
    """What a decision can be."""

    PROMOTE = "promote"
    STAY = "stay"
    HARM = "harm"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ContestTotals:
    """What is known of one challenger. Evidence is a natural logarithm; peaks are the highest so far."""

    pairs: int
    wins: int
    losses: int
    log_evidence: float
    log_evidence_peak: float
    log_harm_peak: float
    # In the order of the plan's guardrails.
    log_guardrail_peaks: tuple[float, ...]
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of a test: seconds since its start, labels and units of each arm, and each challenger's contest."""

    elapsed_s: float
    labels: tuple[int, ...]
    units: tuple[int, ...]
    log_sample_ratio_peak: float
    log_label_parity_peak: float
    contests: tuple[ContestTotals, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: `value` against `bound`, in labels, seconds, pairs or log evidence, and whether it is met.

    `arm` is None where it concerns the whole test. A promotion needs all gates of the test and all of its arm.
    """

    name: str
    arm: int | None
    value: float
    bound: float
    is_passed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done; `arm` is whom it promotes or takes away. `gates` are all that were looked at."""

    outcome: Outcome
    arm: int | None
    gates: tuple[Gate, ...]

    def failed(self, arm: int) -> tuple[Gate, ...]:
        """The gates that keep challenger `arm` from being promoted."""
        return tuple(gate for gate in self.gates if gate.arm in (None, arm) and not gate.is_passed)


def decide(plan: Plan, totals: Totals, *, is_stopped: bool = False) -> Decision:
    """What the plan says of these totals; `is_stopped` when a person ends the test now.

    A harmful challenger goes first, at any time; the test of the others goes on. Then whoever passes all gates is
    promoted; of several, the one with the most evidence now. At the maximum, or when stopped, the champion stays; the
    maximum of labels waits for the minimum of time. Challengers that were withdrawn are not looked at; when none is
    left, the champion stays.
    """
    remaining = [arm for arm in plan.challengers if not totals.contests[arm - 1].is_withdrawn]
    test_gates = _gates_of_test(plan, totals)
    gates = (*test_gates, *(gate for arm in remaining for gate in _gates_of_arm(plan, totals, arm)))

    for arm in remaining:
        if any(gate.arm == arm and not gate.is_passed and _is_alarm(gate) for gate in gates):
            return Decision(Outcome.HARM, arm, gates)
    passed = [arm for arm in remaining if all(gate.is_passed for gate in gates if gate.arm in (None, arm))]
    if passed:
        winner = max(passed, key=lambda arm: totals.contests[arm - 1].log_evidence)
        return Decision(Outcome.PROMOTE, winner, gates)
    is_over = is_stopped or not remaining or _is_at_maximum(plan, totals)
    return Decision(Outcome.STAY if is_over else Outcome.UNDECIDED, None, gates)


def _gates_of_test(plan: Plan, totals: Totals) -> tuple[Gate, ...]:
    labels = sum(totals.labels)
    return (
        Gate("labels", None, labels, plan.min_labels, labels >= plan.min_labels),
        Gate("time", None, totals.elapsed_s, plan.min_time_s, totals.elapsed_s >= plan.min_time_s),
        _quiet("sample_ratio", None, totals.log_sample_ratio_peak, math.log(ratios.SAMPLE_RATIO_ALARM)),
        _quiet("label_parity", None, totals.log_label_parity_peak, math.log(ratios.LABEL_PARITY_ALARM)),
    )


def _gates_of_arm(plan: Plan, totals: Totals, arm: int) -> tuple[Gate, ...]:
    contest = totals.contests[arm - 1]
    discordant = contest.wins + contest.losses
    evidence, bound = contest.log_evidence_peak, plan.evidence_bound
    return (
        Gate("evidence", arm, evidence, bound, evidence >= bound),
        Gate("discordant", arm, discordant, 1, discordant >= 1),
        _quiet("harm", arm, contest.log_harm_peak, plan.harm_bound),
        *(
            _quiet(f"guardrail:{guardrail.name}", arm, peak, guardrail.bound)
            for guardrail, peak in zip(plan.guardrails, contest.log_guardrail_peaks, strict=True)
        ),
    )


def _quiet(name: str, arm: int | None, peak: float, bound: float) -> Gate:
    """An alarm, which has to stay below its bound."""
    return Gate(name, arm, peak, bound, peak < bound)


def _is_alarm(gate: Gate) -> bool:
    return gate.name == "harm" or gate.name.startswith("guardrail:")


def _is_at_maximum(plan: Plan, totals: Totals) -> bool:
    if plan.max_time_s is not None and totals.elapsed_s >= plan.max_time_s:
        return True
    has_all_labels = plan.max_labels is not None and sum(totals.labels) >= plan.max_labels
    return has_all_labels and totals.elapsed_s >= plan.min_time_s
