"""A/B tests written as rows, for tests of what serving processes make of them; and what they logged and counted."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any
from uuid import UUID

from homes import ENDPOINT, Home
from servers import Server, wait_until

from ml_pipeline.client import Client

SALT = "5a" * 32

_SETUP = """
import django, json
django.setup()
from django.db import transaction
from django.utils import timezone
from ml_pipeline.apps.abtests.models import ABTest, Arm
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.events import revisions
"""

_BEGIN = (
    _SETUP
    + """
endpoint, arms, weights, salt = json.loads({given!r})
endpoint = Endpoint.objects.get(name=endpoint)
now = timezone.now()
with transaction.atomic():
    test = ABTest.objects.create(
        title="a test", parent_endpoint=endpoint, running_of=endpoint, created_by="tests", created_at=now,
        metric={{}}, plan={{}}, promotes=False, salt=salt, course={{}},
    )
    for number, (arm, weight) in enumerate(zip(arms, weights)):
        algorithm = MLAlgorithm.objects.get(parent_endpoint=endpoint, name=arm[0], version=arm[1])
        Arm.objects.create(test=test, number=number, parent_mlalgorithm=algorithm, weight=weight)
        statuses._append(algorithm, "ab_testing", "tests", "", moment=timezone.now())
    revisions.raise_revision()
print(test.pk)
"""
)

_END = (
    _SETUP
    + """
with transaction.atomic():
    test = ABTest.objects.get(pk={test})
    test.running_of = None
    test.save()
    for arm in test.arms.all():
        algorithm = arm.parent_mlalgorithm
        if arm.number:
            statuses._append(algorithm, "testing", "tests", "", moment=timezone.now())
        else:
            statuses._append(
                algorithm, "production", "tests", "", moment=timezone.now(), production_of=test.parent_endpoint
            )
    revisions.raise_revision()
"""
)

_WITHDRAW = (
    _SETUP
    + """
with transaction.atomic():
    Arm.objects.filter(test_id={test}, number={arm}).update(is_withdrawn=True)
    revisions.raise_revision()
"""
)

_LOGGED = """
SELECT request.id, name, version, test_id, arm, outcome, unit, latency_us FROM endpoints_mlrequest request
JOIN endpoints_mlalgorithm algorithm ON algorithm.id = request.parent_mlalgorithm_id ORDER BY batch_id, position
"""
_COUNTED = """
SELECT test_id, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]')
FROM abtests_uncountedanswers uncounted, json_each(answers) ORDER BY uncounted.id
"""

FOREST_AND_TREE = (("random_forest", "0.0.1"), ("decision_tree", "0.0.1"))


def begun(
    home: Home,
    arms: tuple[tuple[str, str], ...] = FOREST_AND_TREE,
    weights: tuple[float, ...] = (1, 1),
    *,
    endpoint: str = ENDPOINT,
) -> int:
    """The id of a test that runs from now on, its arms by name and version, the champion first."""
    given = json.dumps([endpoint, arms, weights, SALT])
    return int(home.python(_BEGIN.format(given=given)))


def end(home: Home, test_id: int) -> None:
    """The test runs no longer; its champion is in production."""
    home.python(_END.format(test=test_id))


def withdraw(home: Home, test_id: int, arm: int) -> None:
    """The arm is out of the test."""
    home.python(_WITHDRAW.format(test=test_id, arm=arm))


def await_served(server: Server) -> None:
    """Returns when `server` serves what the database says."""
    ((revision,),) = _rows(server.home, "SELECT number FROM events_revision")

    def is_served() -> bool:
        with server.client(None) as client:
            readiness = client.get("/readyz").json()
        states = {one["state"] for one in readiness["algorithms"]}
        return bool(readiness["revision"] == revision) and states == {"ready"}

    wait_until(is_served, 30)


def logged(home: Home) -> list[dict[str, Any]]:
    """The log's rows, in the order in which they were committed."""
    names = ("id", "name", "version", "test", "arm", "outcome", "unit", "latency_us")
    return [dict(zip(names, (str(UUID(row[0])), *row[1:]), strict=True)) for row in _rows(home, _LOGGED)]


def counted(home: Home) -> list[dict[str, Any]]:
    """The answers that wait to be counted, in the order in which they were committed."""
    names = ("test", "digest", "arm", "failed", "latency_us")
    return [dict(zip(names, row, strict=True)) for row in _rows(home, _COUNTED)]


def _rows(home: Home, statement: str) -> list[tuple[Any, ...]]:
    # A Django that starts for it takes seconds.
    with contextlib.closing(sqlite3.connect(home.folder / "db.sqlite3")) as database:
        return database.execute(statement).fetchall()


def in_production(client: Client) -> list[str]:
    """The names of what is in production under the income classifier."""
    return [one["name"] for one in client.algorithms(ENDPOINT, status="production")]
