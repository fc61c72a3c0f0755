"""A test begins, in each process, when all of its arms are loaded; until then the champion answers, uncounted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import trials
from homes import Home
from servers import Server, wait_until
from strange_models import Calm, SlowToLoad, write_strange_bundle

from ml_pipeline.apps.abtests.assignment import Assignment

STRANGE = "/api/v1/strange/predict"
ARMS = (("strange", "calm"), ("strange", "slow"))
EVEN = Assignment(trials.SALT, [1, 1])
ON_CHALLENGER = next(unit for unit in map(str, itertools.count()) if EVEN.arm(unit)[0])


@pytest.fixture
def gate(home: Home, tmp_path: Path) -> Path:
    """The challenger is loaded when it is there."""
    gate = tmp_path / "gate"
    gate.touch()
    for version, classifier in (("calm", Calm()), ("slow", SlowToLoad(str(gate)))):
        bundle = write_strange_bundle(tmp_path / version, classifier)
        home.manage("register", str(bundle), "--endpoint", "strange", "--version", version)
    gate.unlink()
    return gate


def test_the_route_before_stays_until_the_challenger_is_loaded(
    home: Home, gate: Path, start: Callable[..., Server]
) -> None:
    trials.end(home, trials.begun(home, ARMS[:1], (1,), endpoint="strange"))
    server = start("asgi")
    test_id = trials.begun(home, ARMS, endpoint="strange")
    with server.client("predict") as client:

        def ask(**selection: str) -> dict[str, object]:
            reply = client.post(STRANGE, json={"order": "fine"}, params={"unit": ON_CHALLENGER, **selection})
            assert reply.status_code == 200, reply.text
            return dict(reply.json())

        wait_until(lambda: any(one["state"] == "unloaded" for one in client.get("/readyz").json()["algorithms"]))
        for selection in ({}, {"status": "production"}, {"status": "ab_testing"}, {"version": "calm"}):
            answer = ask(**selection)
            assert answer["version"] == "calm"
            assert "arm" not in answer
        gate.touch()
        wait_until(lambda: "arm" in ask(), 20)
        answer = ask()
        assert (answer["abtest"], answer["arm"], answer["version"]) == (test_id, 1, "slow")
        trials.end(home, test_id)
        wait_until(lambda: "arm" not in ask(), 20)
        assert ask()["version"] == "calm"
    assert {(row["arm"], row["version"]) for row in trials.logged(home)} == {(None, "calm"), (1, "slow")}
    assert {(one["arm"], one["failed"]) for one in trials.counted(home)} == {(1, 0)}
