"""Tests: started with a plan that never changes, and ended by its rule, by a person, or by a rollback."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.abtests import terms
from ml_pipeline.apps.abtests.apps import COUNTING
from ml_pipeline.apps.abtests.models import ABTest, Arm
from ml_pipeline.apps.endpoints import changes, endpoints, statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, MLAlgorithmStatus
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.errors import Complaint, Conflict, InvalidInput
from ml_pipeline.stats.courses import Course

MOST_ARMS = 10


class Entrant(NamedTuple):
    """An algorithm that is to be an arm, and its share, in proportion."""

    algorithm: MLAlgorithm
    weight: float = 1.0


class RunningArm(NamedTuple):
    """One arm of a running test. Its share is its own also once it is withdrawn: no unit may move."""

    number: int
    algorithm_id: int
    weight: float
    is_withdrawn: bool


@dataclass(frozen=True, slots=True)
class RunningTest:
    """A test that runs on `endpoint`, with its arms in the order of their numbers, the champion first."""

    id: int
    endpoint: str
    salt: str
    arms: tuple[RunningArm, ...]


def create(
    title: str,
    entrants: Sequence[Entrant],
    metric: Mapping[str, Any],
    plan: Mapping[str, Any],
    *,
    actor: str,
    promotes: bool = True,
) -> ABTest:
    """A test that runs from now on; the first entrant is the champion. `metric` and `plan` are as `Terms` has them in
    JSON, the plan without weights.

    The champion is what is in production; where nothing is, it takes that place. Raises InvalidInput for arms or terms
    that do not fit together, Conflict where a test runs already, another algorithm is in production, or one is
    archived.
    """
    task = _task(entrants)
    agreed = terms.checked(task, metric, {**plan, "weights": [entrant.weight for entrant in entrants]})
    with transaction.atomic():
        endpoint = endpoints.locked(entrants[0].algorithm.parent_endpoint_id)
        if ABTest.objects.filter(running_of=endpoint).exists():
            raise Conflict(f"An A/B test runs on {endpoint.name!r} already; one at a time.")
        test = ABTest.objects.create(
            title=title,
            parent_endpoint=endpoint,
            running_of=endpoint,
            created_by=actor,
            created_at=timezone.now(),
            metric=agreed.metric_json(),
            plan=agreed.plan_json(),
            promotes=promotes,
            salt=secrets.token_hex(32),
            course=Course(agreed.plan).state(),
        )
        arms = [
            Arm(test=test, number=number, parent_mlalgorithm=algorithm, weight=weight)
            for number, (algorithm, weight) in enumerate(entrants)
        ]
        Arm.objects.bulk_create(arms)
        # By the clock that says how long it has run, whichever process asks.
        ABTest.objects.filter(pk=test.pk).update(created_at=DatabaseNow())
        test.refresh_from_db(fields=["created_at"])
        in_test = {arm.number: arm.parent_mlalgorithm for arm in arms}
        statuses.enter_test(endpoint, test.pk, in_test, actor=actor, reason=f"A/B test {test.pk}")
        jobs.ask(COUNTING, str(test.pk))
        ids = [arm.parent_mlalgorithm_id for arm in arms]
        changes.record("abtest.started", test, endpoint, actor=actor, abtest=test.pk, arms=ids, plan=test.plan)
        revisions.raise_revision()
    return test


def of_pair(first: MLAlgorithm, second: MLAlgorithm) -> list[Entrant]:
    """The entrants of an even test of two: whichever is in production is the champion, else the first."""
    in_production = MLAlgorithmStatus.objects.filter(production_of=second.parent_endpoint_id)
    is_second = in_production.filter(parent_mlalgorithm=second).exists()
    return [Entrant(second), Entrant(first)] if is_second else [Entrant(first), Entrant(second)]


def running() -> list[RunningTest]:
    """All tests that run now."""
    found: dict[tuple[int, str, str], list[RunningArm]] = {}
    rows = (
        Arm.objects.filter(test__running_of__isnull=False)
        .order_by("test_id", "number")
        .values_list(
            "test_id",
            "test__running_of__name",
            "test__salt",
            "number",
            "parent_mlalgorithm_id",
            "weight",
            "is_withdrawn",
        )
    )
    for row in rows:
        found.setdefault(row[:3], []).append(RunningArm(*row[3:]))
    return [RunningTest(*test, tuple(arms)) for test, arms in found.items()]


def locked(test_id: int) -> tuple[Endpoint, ABTest]:
    """The test and its endpoint, both locked until the caller's transaction ends: first the endpoint, as everywhere."""
    endpoint_id = ABTest.objects.values_list("parent_endpoint_id", flat=True).get(pk=test_id)
    return endpoints.locked(endpoint_id), ABTest.objects.select_for_update().get(pk=test_id)


def _task(entrants: Sequence[Entrant]) -> Any:
    algorithms = [entrant.algorithm for entrant in entrants]
    if not 2 <= len(set(algorithms)) == len(algorithms) <= MOST_ARMS:
        expected = f"2 to {MOST_ARMS} different algorithms"
        raise InvalidInput([Complaint(None, "arms", expected, str([one.pk for one in algorithms])[:100])])
    for name, values in (
        ("endpoint", {one.parent_endpoint_id for one in algorithms}),
        ("task", {one.signature["task"] for one in algorithms}),
        ("labels", {tuple(sorted(one.signature.get("labels", ()))) for one in algorithms}),
    ):
        if len(values) > 1:
            expected = f"algorithms that have the same {name}"
            raise InvalidInput([Complaint(None, "arms", expected, f"{len(values)} different ones")])
    return algorithms[0].signature["task"]
