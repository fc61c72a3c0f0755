"""Reports: how a test stands, from its own row alone, however many requests it has had."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ml_pipeline.apps.abtests import outlook, standings
from ml_pipeline.apps.abtests.apps import COUNTING
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.stats.decisions import ContestTotals, Decision, Totals


def standing(test: ABTest) -> dict[str, Any]:
    """Seconds since the start; units, labels and mean score of each arm, each challenger against the champion, what the
    rule says, and what is missing for a promotion (`outlook`); and whether counting fails (`jobs.trouble`). Evidence is
    in natural logarithms, `low` and `high` are the band.
    """
    tally = standings.tally_of(test)
    elapsed_s = max(((test.ended_at or clock.now()) - test.created_at).total_seconds(), 0.0)
    totals, decision = tally.course.totals(elapsed_s), tally.course.decision(elapsed_s)
    trouble = jobs.trouble(COUNTING, str(test.pk))
    return {
        "elapsed_s": elapsed_s,
        "units": list(totals.units),
        "labels": list(totals.labels),
        "mean_scores": tally.course.mean_scores(),
        "challengers": [_challenger(tally, totals, decision, arm) for arm in tally.terms.plan.challengers],
        "gates": [asdict(gate) for gate in decision.gates],
        "outlook": outlook.of(tally, elapsed_s)._asdict(),
        "trouble": None if trouble is None else trouble._asdict(),
    }


def _guardrails(tally: Tally, contest: ContestTotals, arm: int) -> list[dict[str, Any]]:
    return [
        {
            "name": guardrail.name,
            "margin": guardrail.margin,
            "mean": watched.mean,
            "low": watched.band.low,
            "high": watched.band.high,
            "log_evidence_peak": peak,
            "log_evidence_bound": guardrail.bound,
        }
        for guardrail, watched, peak in zip(
            tally.terms.plan.guardrails, tally.course.watched(arm), contest.log_guardrail_peaks, strict=True
        )
    ]


def _challenger(tally: Tally, totals: Totals, decision: Decision, arm: int) -> dict[str, Any]:
    contest, point = totals.contests[arm - 1], tally.at(arm)
    return {
        "arm": arm,
        "is_withdrawn": contest.is_withdrawn,
        "pairs": contest.pairs,
        "wins": contest.wins,
        "losses": contest.losses,
        "log_evidence": contest.log_evidence,
        "log_evidence_peak": contest.log_evidence_peak,
        "log_evidence_bound": tally.terms.plan.evidence_bound,
        "mean": point.mean,
        "low": point.low,
        "high": point.high,
        "guardrails": _guardrails(tally, contest, arm),
        "missing": [gate.name for gate in decision.failed(arm)],
    }
