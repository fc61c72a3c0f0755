"""`wait_s` and `--wait`: what comes back when every serving process follows, and when one does not in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import signs
from homes import ENDPOINT
from servers import Server
from terminals import run

from ml_pipeline.client import Client
from ml_pipeline.errors import Refused

# A process that follows nothing, and for an hour from now was just seen.
LAGGARD = """
import uuid
from datetime import timedelta
import django
django.setup()
from django.db.models import F
from ml_pipeline.apps.events import processes
from ml_pipeline.apps.events.models import ServingProcess
processes.report(uuid.uuid4(), revision=0)
ServingProcess.objects.filter(revision=0).update(seen_at=F("seen_at") + timedelta(hours=1))
"""
AWAY = """
import django
django.setup()
from ml_pipeline.apps.events.models import ServingProcess
ServingProcess.objects.filter(revision=0).delete()
"""


@pytest.fixture
def laggard(door: Server) -> Iterator[Callable[[], str]]:
    """Lets a process appear that follows no change."""
    yield lambda: door.home.python(LAGGARD)
    door.home.python(AWAY)


def outcome(record: dict[str, Any], made: str = "changed") -> tuple[Any, ...]:
    return record.get(made), record.get("served"), record.get("serving")


def test_a_client_is_told_that_every_process_serves_the_change(client: Client, tmp_path: Path) -> None:
    tree = {"algorithm": "decision_tree", "wait_s": 10}
    assert outcome(client.promote(ENDPOINT, "0.0.1", **tree)) == (True, True, "1/1")
    assert outcome(client.promote(ENDPOINT, "0.0.1", **tree)) == (False, True, "1/1")
    assert outcome(client.rollback(ENDPOINT, wait_s=0.5)) == (None, True, "1/1")
    assert outcome(client.alias(ENDPOINT, "candidate", "0.0.1", **tree)) == (None, True, "1/1")
    assert outcome(client.archive(ENDPOINT, "0.0.1", **tree)) == (True, True, "1/1")
    assert outcome(client.move(ENDPOINT, "0.0.1", "testing", **tree)) == (True, True, "1/1")
    assert outcome(client.move(ENDPOINT, "0.0.1", "staging", algorithm="decision_tree")) == (True, None, None)
    files = signs.written(tmp_path)
    for created in (True, False):
        record = client.register("signs", "signs", "1", files["m.skops"], sample=files["rows.csv"], wait_s=10)
        assert outcome(record, "created")[1:] == (True, "1/1")
        # Behind the second door the first has registered it already.
        assert record["created"] in {created, False}
    with pytest.raises(Refused) as refused:
        client.rollback(ENDPOINT, wait_s=61)
    assert (refused.value.status, refused.value.details[0]["field"]) == (422, "wait")


def test_a_command_that_waited_in_vain_says_so_and_exits_with_1(door: Server, laggard: Callable[[], str]) -> None:
    promote = ("promote", ENDPOINT, "0.0.1", "--algorithm", "extra_trees")
    waited = run(door, *promote, "--wait", "10")
    assert (waited.returncode, waited.stderr) == (0, "")
    assert waited.stdout == f"extra_trees 0.0.1 is in production under {ENDPOINT} now.\n"

    laggard()
    late = run(door, "rollback", ENDPOINT, "--wait", "1", "--json")
    assert late.returncode == 1
    assert outcome(json.loads(late.stdout)) == (None, False, "1/2")
    assert "not served everywhere in time: 1/2 of the serving processes" in late.stderr
    late = run(door, *promote, "--wait", "0.5")
    assert late.returncode == 1
    assert late.stdout == f"extra_trees 0.0.1 is in production under {ENDPOINT} by now.\n"
    assert run(door, *promote, "--wait", "soon").returncode == 2
    assert run(door, "rollback", ENDPOINT).returncode == 0
