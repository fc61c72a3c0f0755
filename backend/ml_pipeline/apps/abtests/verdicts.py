"""Verdicts: what follows from a test, in the transaction in which it becomes known: statuses, certificate, audit."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from ml_pipeline.apps.abtests import certificates, clauses, outlook
from ml_pipeline.apps.abtests.models import Result, State
from ml_pipeline.apps.abtests.standings import Standing
from ml_pipeline.apps.endpoints import changes, statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithmStatus
from ml_pipeline.apps.events import revisions
from ml_pipeline.stats.decisions import Decision, Gate, Outcome


def look(standing: Standing, *, counted_until: datetime | None = None) -> bool:
    """Whether the test is over, after what the rule says now was done."""
    elapsed_s = standing.elapsed_s(counted_until=counted_until)
    decision = _decided(standing, elapsed_s, is_stopped=False)
    if decision.outcome is Outcome.UNDECIDED:
        return False
    _end(standing, decision, elapsed_s, actor=actor_of(standing))
    return True


def stop(standing: Standing, *, actor: str, reason: str) -> None:
    """The test is over: whoever has the evidence is promoted, else the champion stays."""
    elapsed_s = standing.elapsed_s(counted_until=standing.moment)
    decision = _decided(standing, elapsed_s, is_stopped=True)
    _end(standing, decision, elapsed_s, actor=actor, is_stopped=True, reason=reason)


def roll_back(standing: Standing, *, actor: str, reason: str) -> MLAlgorithmStatus:
    """The test is over and its champion in production, whatever the evidence: its step into production."""
    elapsed_s = standing.elapsed_s(counted_until=standing.moment)
    gates = standing.tally.course.decision(elapsed_s, is_stopped=True).gates
    stay = Decision(Outcome.STAY, None, gates)
    return _end(standing, stay, elapsed_s, actor=actor, is_stopped=True, reason=reason, result=Result.ROLLED_BACK)


def actor_of(standing: Standing) -> str:
    """Who does what follows from the rule alone."""
    return f"abtest:{standing.test.pk}"


def _decided(standing: Standing, elapsed_s: float, *, is_stopped: bool) -> Decision:
    course = standing.tally.course
    decision = course.decision(elapsed_s, is_stopped=is_stopped)
    while decision.outcome is Outcome.HARM and decision.arm is not None:
        _withdraw(standing, decision.arm, decision, elapsed_s)
        decision = course.decision(elapsed_s, is_stopped=is_stopped)
    return decision


def _withdraw(standing: Standing, number: int, decision: Decision, elapsed_s: float) -> None:
    arm, tally, actor = standing.arms[number], standing.tally, actor_of(standing)
    failed = [gate for gate in decision.failed(number) if gate.arm == number and is_alarm(gate)]
    arm.withdrawal = {
        "units": tally.units,
        "observations": tally.observations,
        "elapsed_s": elapsed_s,
        "gates": [asdict(gate) for gate in failed],
    }
    tally.withdraw(number)
    arm.is_withdrawn = True
    arm.save(update_fields=["is_withdrawn", "withdrawal"])
    reason = f"A/B test {standing.test.pk}: {', '.join(gate.name for gate in failed)}"
    statuses.leave_test(arm.parent_mlalgorithm, actor=actor, reason=reason)
    _record("abtest.withdrawn", standing, actor, arm=number, algorithm=arm.parent_mlalgorithm_id, **arm.withdrawal)


def is_alarm(gate: Gate) -> bool:
    """Whether the gate is one whose failure withdraws its arm."""
    return gate.name == "harm" or gate.name.startswith("guardrail:")


def _end(
    standing: Standing,
    decision: Decision,
    elapsed_s: float,
    *,
    actor: str,
    is_stopped: bool = False,
    reason: str = "",
    result: Result | None = None,
) -> MLAlgorithmStatus:
    test, tally = standing.test, standing.tally
    tally.mark()
    result = result or _result(standing, decision)
    winner = decision.arm if result is Result.PROMOTED and decision.arm is not None else 0
    test.summary = _summary(standing, decision, result, winner, elapsed_s)
    why = f"A/B test {test.pk} {result.label.lower()}" + (f": {reason}" if reason else "")
    step = statuses.end_test(standing.endpoint, test.pk, winner, actor=actor, reason=why)
    test.state, test.running_of, test.ended_at, test.result = State.FINISHED, None, standing.moment, result
    standing.save()
    test.certificate = certificates.written(
        standing, decision, result=result, actor=actor, is_stopped=is_stopped, elapsed_s=elapsed_s
    )
    test.save(update_fields=["certificate"])
    algorithm = standing.arms[winner].parent_mlalgorithm_id
    _record("abtest.ended", standing, actor, result=str(result), production=algorithm, reason=reason)
    return step


def _record(action: str, standing: Standing, actor: str, **details: object) -> None:
    test = standing.test
    changes.record(action, test, standing.endpoint, actor=actor, abtest=test.pk, **details)
    revisions.raise_revision()


def _result(standing: Standing, decision: Decision) -> Result:
    if decision.outcome is Outcome.PROMOTE:
        return Result.PROMOTED if standing.test.promotes else Result.PROPOSED
    remaining = set(standing.tally.terms.plan.challengers) - standing.tally.withdrawn
    return Result.STAYED if remaining else Result.HARMFUL


def _summary(standing: Standing, decision: Decision, result: Result, winner: int, elapsed_s: float) -> str:
    one = standing.arms[winner].parent_mlalgorithm
    if result is Result.PROMOTED:
        return f"{one} was shown to be better and is in production."
    if result is Result.PROPOSED and decision.arm is not None:
        better = standing.arms[decision.arm].parent_mlalgorithm
        return f"{better} was shown to be better; {one} stays in production until a person promotes it."
    if result is Result.HARMFUL:
        return f"{one} stays in production: every challenger did harm and was withdrawn."
    if result is Result.ROLLED_BACK:
        return f"{one} is back in production: the endpoint was rolled back."
    missing = outlook.of(standing.tally, elapsed_s).labels
    more = "" if missing is None else f" If answers stay as they were, {missing:,} more labels would do on average."
    return f"{one} stays in production: {why_not(standing, decision)}.{more}"


def why_not(standing: Standing, decision: Decision) -> str:
    """What keeps the challengers from being promoted, in words."""
    if standing.tally.labels == 0:
        return "no label has come, so nothing is known of any arm"
    found = []
    for number, arm in standing.arms.items():
        if number and number not in standing.tally.withdrawn:
            words = [clauses.of(asdict(gate)) for gate in decision.failed(number)]
            found.append(f"{arm.parent_mlalgorithm} was not shown to be better: {'; '.join(words)}")
    return ". ".join(found)
