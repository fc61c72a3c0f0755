"""Verification: a certificate recomputed from the log, by whoever doubts it; nothing of it is taken on trust.

What was counted is gone through again (`replays`) and must come to the same numbers, to the last bit; and each unit and
each score is looked up in the log of predictions and in the feedback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from ml_pipeline.apps.abtests import certificates, replays, scoring
from ml_pipeline.apps.abtests.assignment import Assignment
from ml_pipeline.apps.abtests.models import ABTest, Arm, Unit
from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.apps.abtests.terms import Terms
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.errors import Conflict

# What is wrong is told so often; then it is counted.
MOST_TOLD = 20
# How far the clock of a serving process, by which it makes ids, may be from the database's.
SKEW = timedelta(hours=1)


@dataclass(slots=True)
class Report:
    """What verification found: `problems`, none where all holds, and how much of the log it went through.

    `uncounted` are requests that came too late, or are the failed attempts in whose place the champion answered. Where
    outcomes were corrected later, `if_corrected` is the decision that their latest values would have led to.
    """

    requests: int = 0
    units: int = 0
    observations: int = 0
    uncounted: int = 0
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0
    if_corrected: dict[str, Any] | None = None

    @property
    def is_verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def complain(self, problem: str) -> None:
        """`problem` is wrong."""
        if len(self.problems) < MOST_TOLD:
            self.problems.append(problem)
        else:
            self.more_problems += 1

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"is_verified": self.is_verified, **asdict(self)}


def verified(test: ABTest) -> Report:
    """The report on the certificate of `test`. Raises Conflict while it runs: there is none yet."""
    if test.certificate is None:
        raise Conflict("The test runs still, and has no certificate yet.")
    certificate, report = json.loads(test.certificate), Report()
    arms = {arm.number: arm for arm in test.arms.select_related("parent_mlalgorithm")}
    _check_identity(certificate, test, arms, report)
    terms = Terms.from_json(certificate["metric"], certificate["plan"])
    assignment = Assignment(certificate["salt"], terms.plan.weights)
    _check_numbers(certificate, replays.replayed(test, terms, certificate["arms"]), report)
    _Log(test, arms, terms, assignment, report).check()
    if test.is_corrected:
        latest = _latest_scores(test, arms, terms)
        tally = replays.replayed(test, terms, certificate["arms"], latest)
        elapsed_s = certificate["totals"]["elapsed_s"]
        decision = tally.course.decision(elapsed_s, is_stopped=certificate["is_stopped"])
        report.if_corrected = {"outcome": str(decision.outcome), "arm": decision.arm, "corrected": len(latest)}
    return report


def _check_identity(certificate: dict[str, Any], test: ABTest, arms: dict[int, Arm], report: Report) -> None:
    known = {"abtest": test.pk, "metric": test.metric, "plan": test.plan, "salt": test.salt, "result": test.result}
    for name, value in known.items():
        if certificate[name] != value:
            report.complain(f"the certificate's {name} is not the test's")
    for one in certificate["arms"]:
        arm = arms.get(one["number"])
        if arm is None or any(
            one[name] != value
            for name, value in (
                ("algorithm", arm.parent_mlalgorithm_id),
                ("artifact_digest", arm.parent_mlalgorithm.artifact_digest),
                ("content_digest", arm.parent_mlalgorithm.content_digest),
            )
        ):
            report.complain(f"arm {one['number']} is not the algorithm that the certificate names")


def _check_numbers(certificate: dict[str, Any], tally: Tally, report: Report) -> None:
    tally.mark()
    elapsed_s = certificate["totals"]["elapsed_s"]
    decision = asdict(tally.course.decision(elapsed_s, is_stopped=certificate["is_stopped"]))
    if certificate["result"] == "rolled_back":
        # A rollback asks no evidence.
        decision |= {"outcome": "stay", "arm": None}
    found = {
        **certificates.proven(tally, elapsed_s),
        "decision": decision,
        "path": [point._asdict() for point in sorted(tally.points, key=lambda point: (point.labels, point.arm))],
    }
    for name, value in json.loads(certificates.exact(found)).items():
        if certificate[name] != value:
            report.complain(f"recomputed from what was counted, {name} differs from the certificate's")
    report.units, report.observations = tally.units, tally.observations


def _latest_scores(test: ABTest, arms: dict[int, Arm], terms: Terms) -> dict[int, float]:
    """By position, the scores of observations whose outcome was corrected, by the latest correction."""
    found = {}
    observed = Unit.objects.filter(test=test, position__isnull=False).order_by("position")
    for page in replays.pages(observed.values_list("request_id", "arm", "score", "position"), "position"):
        ids = [one[0] for one in page]
        requests = MLRequest.objects.only(*scoring.FIELDS).in_bulk(ids)
        # The last of each request remains.
        latest = dict(Feedback.objects.filter(request_id__in=ids).order_by("pk").values_list("request_id", "value"))
        for request_id, arm, score, position in page:
            # Of a unit that was erased nothing is left.
            if request_id in requests and latest.get(request_id) is not None:
                now = scoring.score(terms.metric, arms[arm], requests[request_id], latest[request_id])
                if now != score:
                    found[position] = now
    return found


class _Log:
    """The log of predictions beside what was counted of it."""

    def __init__(
        self, test: ABTest, arms: dict[int, Arm], terms: Terms, assignment: Assignment, report: Report
    ) -> None:
        self._test, self._arms, self._terms = test, arms, terms
        self._assignment, self._report = assignment, report
        # Units whose first answer was found, and positions of the observations that were.
        self._units: set[int] = set()
        self._observations: set[int] = set()

    def check(self) -> None:
        """Each request of the test is looked at, and all that was counted must be among them."""
        for arm in self._arms.values():
            # Stand-ins for an arm are the champion's, failed attempts its own.
            for page in self._requests(arm.parent_mlalgorithm_id):
                self._compare(page)
        report = self._report
        for name, count, found in (
            ("units", report.units, len(self._units)),
            ("observations", report.observations, len(self._observations)),
        ):
            if found != count:
                report.complain(f"of {count} {name} that were counted the log has {found}")

    def _requests(self, algorithm_id: int) -> Iterator[list[MLRequest]]:
        # By the index over algorithm and id, whose first bits are the time: none is older than the test.
        last = UUID(int=int((self._test.created_at - SKEW).timestamp() * 1000) << 80)
        rows = MLRequest.objects.filter(parent_mlalgorithm_id=algorithm_id, arm__isnull=False)
        while True:
            page = list(rows.filter(pk__gt=last).order_by("pk").only(*scoring.FIELDS, "latency_us")[: replays.ROWS])
            if not page:
                return
            last = page[-1].pk
            of_test = [row for row in page if row.test_id == self._test.pk]
            if not of_test and self._test.ended_at and page[0].pk.int >> 80 > self._ended_ms:
                return
            yield of_test

    @property
    def _ended_ms(self) -> float:
        return (self._test.ended_at + SKEW).timestamp() * 1000 if self._test.ended_at else float("inf")

    def _compare(self, page: list[MLRequest]) -> None:
        places = {row.pk: self._assignment.arm(scoring.unit_of(row)) for row in page}
        digests = {digest for _, digest in places.values()}
        units = {one.digest: one for one in Unit.objects.filter(test=self._test, digest__in=digests)}
        outcomes: dict[UUID, Any] = {}
        feedback = Feedback.objects.filter(request_id__in=[row.pk for row in page]).order_by("pk")
        for request_id, value in feedback.values_list("request_id", "value"):
            outcomes.setdefault(request_id, value)
        self._report.requests += len(page)
        for row in page:
            number, digest = places[row.pk]
            unit = units.get(digest)
            if unit is None:
                self._report.uncounted += 1
                continue
            if not number == row.arm == unit.arm:
                self._report.complain(f"request {row.pk} belongs to arm {number}, and was counted for arm {unit.arm}")
            self._find(row, unit, outcomes)

    def _find(self, row: MLRequest, unit: Unit, outcomes: dict[UUID, Any]) -> None:
        arm = self._arms[unit.arm]
        is_failed = row.outcome != "ok" or row.parent_mlalgorithm_id != arm.parent_mlalgorithm_id
        if self._terms.bad(is_failed, row.latency_us) == self._terms.bad(unit.is_failed, unit.latency_us):
            self._units.add(unit.pk)
        if unit.position is None or unit.request_id != row.pk:
            return
        self._observations.add(unit.position)
        if row.pk not in outcomes:
            self._report.complain(f"request {row.pk} has no feedback, and was counted with the score {unit.score}")
        elif (score := scoring.score(self._terms.metric, arm, row, outcomes[row.pk])) != unit.score:
            self._report.complain(f"request {row.pk} has the score {score}, and was counted with {unit.score}")
