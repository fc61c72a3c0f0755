"""A test from plan to verification by commands, without a prediction."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import trials
from servers import BY_ASGI, Server

from ml_pipeline.client import Client

pytestmark = BY_ASGI


def test_commands_do_what_the_client_does(door: Server, admin: Client, algorithms: dict[str, int]) -> None:
    def command(*arguments: str, code: int = 0) -> Any:
        program = str(Path(sys.executable).parent / "ml-pipeline")
        environment = ("env", f"ML_PIPELINE_URL={door.url}", f"ML_PIPELINE_API_KEY={door.home.keys['admin']}")
        done = door.home.run(*environment, program, "abtest", *arguments, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    plan = command("plan", "0.85", "0.87", "--json")
    assert plan["fixed_labels"] == 2 * 3_721
    assert 9_000 < plan["mean_labels"] < 10_500
    (before,) = trials.in_production(admin)
    arms = ("--arm", str(algorithms[before]), "--arm", f"{algorithms['decision_tree']}:0.5")
    test = command("start", "by command", *arms, "--wait", "30", "--json")
    number = str(test["id"])
    assert [arm["weight"] for arm in test["arms"]] == [1.0, 0.5]
    assert "running" in command("watch", number, "--once")
    command("verify", number, code=1)
    # There is no label to shuffle.
    assert command("selftest", number, code=1) == ""
    assert "no label has come" in command("stop", number)
    assert command("watch", number, "--json")["result"] == "stayed"
    assert command("verify", number, "--json")["is_verified"]
    page = command("report", number)
    assert "Stopped without a decision" in page
    file = door.home.folder / "report.html"
    assert str(file) in command("report", number, "-o", str(file))
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "Stopped without a decision" in admin.abtests.report(test["id"])
    command("report", "999", code=1)
    command("report", number, "-o", str(door.home.folder / "nowhere" / "report.html"), code=1)
    assert trials.in_production(admin) == [before]
    refused = command("start", "by command", *arms[:2], code=1)
    assert refused == ""
