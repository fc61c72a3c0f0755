"""Facts: all that the page says of a test, gathered from its row, its arms and the points of its path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ml_pipeline.apps.abtests import certificates, reports
from ml_pipeline.apps.abtests.models import ABTest, State
from ml_pipeline.apps.abtests.report import scales
from ml_pipeline.apps.abtests.report.scales import Scale
from ml_pipeline.apps.abtests.terms import Terms


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """One arm. `share` is what the plan gives it among the arms that are left, `part` what it got; both are None for
    one that was withdrawn, `part` also before any answer."""

    number: int
    name: str
    version: str
    share: float | None
    part: float | None
    units: int
    labels: int
    mean_score: float | None
    withdrawal: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChallengerFacts:
    """One challenger against the champion: how it stands (`reports.standing`), its gates, and its path."""

    arm: ArmFacts
    now: Mapping[str, Any]
    gates: tuple[Mapping[str, Any], ...]
    path: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        """Its algorithm and version."""
        return self.arm.name

    @property
    def band(self) -> tuple[float, float]:
        """Where the difference lies."""
        return self.now["low"], self.now["high"]


@dataclass(frozen=True, slots=True)
class Facts:
    """A test. `certificate` is None while it runs."""

    test: ABTest
    terms: Terms
    scale: Scale
    standing: Mapping[str, Any]
    arms: tuple[ArmFacts, ...]
    challengers: tuple[ChallengerFacts, ...]
    certificate: Mapping[str, Any] | None

    @property
    def champion(self) -> str:
        """The champion's algorithm and version."""
        return self.arms[0].name

    @property
    def is_running(self) -> bool:
        """Whether nothing has ended the test yet."""
        return self.test.state == State.RUNNING

    @property
    def labels(self) -> int:
        """Labels of all arms that count."""
        return sum(self.standing["labels"])

    @property
    def remaining(self) -> tuple[ChallengerFacts, ...]:
        """The challengers that were not withdrawn."""
        return tuple(one for one in self.challengers if one.arm.withdrawal is None)

    @property
    def leader(self) -> ChallengerFacts:
        """Whom the decision chose, else the challenger with the most evidence, those that were withdrawn last."""
        chosen: int | None = self.certificate["decision"]["arm"] if self.certificate else None
        if chosen:
            return self.challengers[chosen - 1]
        return max(self.remaining or self.challengers, key=lambda one: float(one.now["log_evidence"]))

    @property
    def gates(self) -> tuple[Mapping[str, Any], ...]:
        """The gates of the whole test."""
        return tuple(gate for gate in self.standing["gates"] if gate["arm"] is None)

    @property
    def digest(self) -> str:
        """The sha256 of the certificate's exact text."""
        return hashlib.sha256((self.test.certificate or "").encode()).hexdigest()

    def after(self, elapsed_s: float) -> datetime:
        """The time so many seconds after the start."""
        return self.test.created_at + timedelta(seconds=elapsed_s)


def of(test: ABTest) -> Facts:
    """The facts of `test`; its endpoint and its arms' algorithms should be fetched with it."""
    standing = reports.standing(test)
    arms = _arms(test, standing)
    return Facts(
        test=test,
        terms=Terms.from_json(test.metric, test.plan),
        scale=scales.of(test.metric),
        standing=standing,
        arms=arms,
        challengers=_challengers(test, standing, arms),
        certificate=None if test.certificate is None else json.loads(test.certificate),
    )


def _arms(test: ABTest, standing: Mapping[str, Any]) -> tuple[ArmFacts, ...]:
    rows = list(test.arms.all())
    weight = sum(row.weight for row in rows if row.withdrawal is None)
    units = sum(standing["units"][row.number] for row in rows if row.withdrawal is None)
    return tuple(
        ArmFacts(
            number=row.number,
            name=str(row.parent_mlalgorithm),
            version=row.parent_mlalgorithm.version,
            share=row.weight / weight if row.withdrawal is None else None,
            part=standing["units"][row.number] / units if row.withdrawal is None and units else None,
            units=standing["units"][row.number],
            labels=standing["labels"][row.number],
            mean_score=standing["mean_scores"][row.number],
            withdrawal=row.withdrawal,
        )
        for row in rows
    )


def _challengers(test: ABTest, standing: Mapping[str, Any], arms: tuple[ArmFacts, ...]) -> tuple[ChallengerFacts, ...]:
    points, labels = certificates.path(test), sum(standing["labels"])
    found = []
    for now in standing["challengers"]:
        number = now["arm"]
        path = [point for point in points if point["arm"] == number]
        if labels and not now["is_withdrawn"] and (not path or path[-1]["labels"] < labels):
            # Between two points of the path.
            path.append({"labels": labels, **{name: now[name] for name in ("pairs", "log_evidence", "mean")}})
            path[-1] |= {"low": now["low"], "high": now["high"]}
        gates = tuple(gate for gate in standing["gates"] if gate["arm"] == number)
        found.append(ChallengerFacts(arms[number], now, gates, tuple(path)))
    return tuple(found)
