"""Contests: the champion against one challenger, in scores and in each guardrail, as running totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_pipeline.stats import mcnemar
from ml_pipeline.stats.bounded import Band
from ml_pipeline.stats.decisions import ContestTotals
from ml_pipeline.stats.pairing import Stream
from ml_pipeline.stats.plans import Plan


class Watched(NamedTuple):
    """By how much a challenger's share of bad answers exceeds the champion's; None without pairs. `band` holds at all
    times at once with probability 1 - the guardrail's α."""

    mean: float | None
    band: Band


class Contest:
    """What is known of challenger `arm` so far. Evidence is looked at after every pair that can raise it."""

    def __init__(self, plan: Plan, arm: int) -> None:
        self.is_withdrawn = False
        self._plan, self._is_by_pairs = plan, plan.is_by_pairs(arm)
        sizes = plan.block_sizes(arm)
        self._scores = Stream(sizes)
        self._guardrails = {guardrail.name: Stream(sizes) for guardrail in plan.guardrails}
        self._evidence_peak = self._harm_peak = 0.0
        # The evidence now; None where it is not known: the rule asks after every observation, and half make no pair.
        self._evidence: float | None = None
        self._guardrail_peaks = {guardrail.name: 0.0 for guardrail in plan.guardrails}

    def advance(self, side: int, score: float) -> None:
        """One more labelled answer of the champion or the challenger (`pairing.CHAMPION`, `CHALLENGER`) is counted."""
        difference = self._scores.add(side, score)
        if difference is None:
            return
        self._evidence = None
        if difference > self._plan.margin:
            self._evidence_peak = max(self._evidence_peak, self.log_evidence())
        if difference < self._plan.harm_margin:
            self._harm_peak = max(self._harm_peak, self._log_harm())

    def watch(self, side: int, bad: Mapping[str, bool]) -> None:
        """One more answer, labelled or not: whether it was bad by each guardrail."""
        for guardrail in self._plan.guardrails:
            stream = self._guardrails[guardrail.name]
            difference = stream.add(side, float(bad[guardrail.name]))
            if difference is not None and difference > guardrail.margin:
                peak = stream.differences.log_evidence(guardrail.margin)
                self._guardrail_peaks[guardrail.name] = max(self._guardrail_peaks[guardrail.name], peak)

    def log_evidence(self) -> float:
        """The natural logarithm of the evidence, now, that the challenger is better by more than the margin."""
        if self._evidence is None:
            differences = self._scores.differences
            if self._is_by_pairs:
                self._evidence = mcnemar.log_evidence(differences.above, differences.below)
            else:
                self._evidence = differences.log_evidence(self._plan.margin)
        return self._evidence

    def _log_harm(self) -> float:
        differences = self._scores.differences
        if self._is_by_pairs:
            return mcnemar.log_evidence(differences.below, differences.above)
        return differences.log_evidence_below(self._plan.harm_margin)

    def mean(self) -> float | None:
        """The mean difference of the scores so far; None without pairs."""
        return self._scores.differences.mean()

    def band(self) -> Band:
        """Where the difference lies, in all contests at once and at all times, with probability 1 - α."""
        return self._scores.differences.band(self._plan.alpha / len(self._plan.challengers))

    def watched(self) -> list[Watched]:
        """What is known of each guardrail, in the order of the plan's."""
        streams = [(self._guardrails[guardrail.name].differences, guardrail) for guardrail in self._plan.guardrails]
        return [Watched(differences.mean(), differences.band(guardrail.alpha)) for differences, guardrail in streams]

    def totals(self) -> ContestTotals:
        """What the rule looks at."""
        differences = self._scores.differences
        return ContestTotals(
            pairs=differences.count,
            wins=differences.above,
            losses=differences.below,
            log_evidence=self.log_evidence(),
            log_evidence_peak=self._evidence_peak,
            log_harm_peak=self._harm_peak,
            log_guardrail_peaks=tuple(self._guardrail_peaks[guardrail.name] for guardrail in self._plan.guardrails),
            is_withdrawn=self.is_withdrawn,
        )

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, and `restore` goes on from."""
        return {
            "is_withdrawn": self.is_withdrawn,
            "evidence_peak": self._evidence_peak,
            "harm_peak": self._harm_peak,
            "scores": self._scores.state(),
            "guardrails": {
                name: {"peak": self._guardrail_peaks[name], **stream.state()}
                for name, stream in self._guardrails.items()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """This contest, which had nothing yet, goes on from there."""
        self.is_withdrawn = state["is_withdrawn"]
        self._evidence_peak, self._harm_peak = state["evidence_peak"], state["harm_peak"]
        self._scores.restore(state["scores"])
        self._evidence = None
        for name, stream in self._guardrails.items():
            stream.restore(state["guardrails"][name])
            self._guardrail_peaks[name] = state["guardrails"][name]["peak"]
