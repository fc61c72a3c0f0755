"""Tests run over HTTP by a client with a record of its own; and what the pure functions say of that record alone."""

from __future__ import annotations

import itertools
import math
import random
import time
from typing import Any

import httpx
from homes import Home
from servers import wait_until

from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.decisions import Decision, Outcome
from ml_pipeline.stats.plans import Guardrail, Plan

MOST_LABELS = 600
# The share of requests whose outcome becomes known, and of outcomes that are told twice.
LABEL_RATE, AGAIN_RATE = 0.3, 0.05
OTHER = {"no": "yes", "yes": "no"}
ERRORS = Guardrail("errors", 0.005)

_SET_UP = """
import django, sys
django.setup()
sys.path.insert(0, "tests/endpoints")
import constant_models
from registered import algorithm
from ml_pipeline.apps.endpoints import registrations, statuses
digests = constant_models.add_three(registrations.store())
for name in {names!r}:
    # The first says no, the other one yes.
    first, _ = [algorithm(one, name, artifact_digest=digests[at]) for one, at in (("1", 0), ("2", 2))]
    statuses.promote(first, actor="tests")
"""


class Observer:
    """One test on an endpoint, its arms right so often (`accuracies`), and whoever asks and tells, by `draw`."""

    def __init__(self, client: httpx.Client, endpoint: str, accuracies: tuple[float, float]) -> None:
        self._client, self._endpoint, self._accuracies = client, endpoint, accuracies
        self._units: dict[str, int] = {}
        # What was told, in the order in which it was told: whom it was about, the arm, and whether it had been right;
        # and when, on the monotonic clock.
        self._told: list[tuple[str, int, bool]] = []
        self._told_at: list[float] = []
        self._over_at = self._decided_at = math.inf
        self._waiting: list[tuple[dict[str, str], tuple[str, int, bool]]] = []
        self._is_over = False
        self.record: dict[str, Any] = {}

    def run(self, draw: random.Random, **terms: Any) -> None:
        """Starts the test and goes on until it has ended by itself, which it does with so many labels at the latest."""
        champion, challenger = self._algorithms()
        body = {"title": f"test on {self._endpoint}", "max_labels": MOST_LABELS, **terms}
        pair = {"parent_mlalgorithm_1": champion, "parent_mlalgorithm_2": challenger}
        started = self._client.post("/api/v1/abtests", json={**body, **pair})
        assert started.status_code == 201, started.text
        self.record = started.json()
        wait_until(lambda: self._has_begun(draw), 120, pause_s=0.05)
        while not self._is_over and len({unit for unit, *_ in self._told}) < MOST_LABELS:
            self._ask(draw)
            draw.shuffle(self._waiting)
            self._tell(draw, draw.randint(0, len(self._waiting)))
        self._tell(draw, len(self._waiting))
        wait_until(self._has_ended, 300, pause_s=1.0)

    def _algorithms(self) -> tuple[int, int]:
        """Whoever is in production, and the other one."""
        found = self._client.get("/api/v1/mlalgorithms", params={"endpoint": self._endpoint}).json()
        assert sorted(one["current_status"] for one in found) == ["production", "testing"]
        first, second = sorted(found, key=lambda one: one["current_status"] != "production")
        return first["id"], second["id"]

    def _has_begun(self, draw: random.Random) -> bool:
        # Until the server knows of it, whoever was in production answers.
        self._is_over = False
        self._answered(draw, [self._predict({"x": 1.0}, {})])
        return not self._is_over

    def _has_ended(self) -> bool:
        reply = self._client.get(f"/api/v1/abtests/{self.record['id']}")
        assert reply.status_code == 200, reply.text
        self.record = reply.json()
        if self.record["state"] != "finished":
            return False
        self._over_at = min(self._over_at, time.monotonic())
        return True

    def _ask(self, draw: random.Random) -> None:
        # Now and then one by one, of some that come again; mostly lists, each row of which is for itself.
        if draw.random() < 0.2:
            for _ in range(3):
                unit = f"customer {draw.randint(1, 40)}"
                self._answered(draw, [self._predict({"x": 1.0}, {"unit": unit})], unit)
        else:
            self._answered(draw, self._predict([{"x": 1.0}] * draw.randint(1, 400), {}))

    def _predict(self, body: Any, parameters: dict[str, str]) -> Any:
        reply = self._client.post(f"/api/v1/{self._endpoint}/predict", json=body, params=parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def _answered(self, draw: random.Random, answers: list[dict[str, Any]], unit: str | None = None) -> None:
        for answer in answers:
            if answer.get("abtest") != self.record["id"]:
                self._is_over, self._over_at = True, time.monotonic()
                return
            arm, label = answer["arm"], answer["label"]
            about = unit or answer["request_id"]
            assert self._units.setdefault(about, arm) == arm
            if draw.random() < LABEL_RATE:
                is_right = draw.random() < self._accuracies[arm]
                outcome = {"request_id": answer["request_id"], "feedback": label if is_right else OTHER[label]}
                self._waiting.append((outcome, (about, arm, is_right)))

    def _tell(self, draw: random.Random, count: int) -> None:
        # In bulk, some of it a second time; what is left waits.
        now, self._waiting = self._waiting[:count], self._waiting[count:]
        if not now:
            return
        items = [item for item, _ in now]
        items += [item for item in items if draw.random() < AGAIN_RATE]
        reply = self._client.post("/api/v1/mlrequests/feedback", json=items)
        assert reply.status_code == 200, reply.text
        assert (reply.json()["accepted"], reply.json()["unchanged"]) == (len(now), len(items) - len(now))
        self._told += [told for _, told in now]
        self._told_at += [time.monotonic()] * len(now)

    def recomputed(self, units: int) -> tuple[Course, Decision]:
        """What the pure functions say of so many units, and of all observations, told one by one until they decide."""
        course = Course(Plan(max_labels=MOST_LABELS, guardrails=(ERRORS,)))
        for arm in itertools.islice(self._units.values(), units):
            course.assign(arm, {"errors": False})
        known: set[str] = set()
        decision = course.decision(0.0)
        for (unit, arm, is_right), told_at in zip(self._told, self._told_at, strict=True):
            if unit in known:
                continue
            known.add(unit)
            self._decided_at = told_at
            course.advance(arm, float(is_right))
            decision = course.decision(0.0)
            if decision.outcome is Outcome.HARM and decision.arm is not None:
                course.withdraw(decision.arm)
                decision = course.decision(0.0)
            if decision.outcome is not Outcome.UNDECIDED:
                break
        return course, decision

    def compare(self) -> str:
        """The test's result; fails unless the server's record is what the pure functions say, to the last bit."""
        certificate = self.record["certificate"]
        theirs = certificate["totals"]
        # When it decides it may not have counted the last units yet, which came before their labels.
        course, decision = self.recomputed(sum(theirs["units"]))
        ours = course.totals(0.0)
        assert (certificate["decision"]["outcome"], certificate["decision"]["arm"]) == (decision.outcome, decision.arm)
        assert (theirs["units"], theirs["labels"]) == (list(ours.units), list(ours.labels))
        (contest,) = ours.contests
        for name in ("pairs", "wins", "losses", "log_evidence", "log_evidence_peak", "log_harm_peak", "is_withdrawn"):
            assert theirs["contests"][0][name] == getattr(contest, name), name
        for name in ("log_label_parity_peak", "log_sample_ratio_peak"):
            assert theirs[name] == getattr(ours, name), name
        result = self.record["result"]
        is_promoted = decision.outcome is Outcome.PROMOTE
        assert result == ("promoted" if is_promoted else "harmful" if contest.is_withdrawn else "stayed")
        arms = [arm["parent_mlalgorithm"] for arm in self.record["arms"]]
        assert self._algorithms() == (arms[is_promoted], arms[not is_promoted])
        return str(result)

    @property
    def lateness_s(self) -> float:
        """Seconds from the observation that decided until it was seen that the test had ended; after `compare`."""
        return self._over_at - self._decided_at

    def verify(self) -> None:
        """Fails unless the certificate holds."""
        found = self._client.get(f"/api/v1/abtests/{self.record['id']}/verification").json()
        assert found["is_verified"], found["problems"]


def set_up(home: Home, names: list[str]) -> None:
    """Each endpoint has two algorithms, the first in production."""
    home.python(_SET_UP.format(names=names))
