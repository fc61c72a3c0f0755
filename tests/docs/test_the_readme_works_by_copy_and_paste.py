"""The README's first five minutes, pasted block by block into a bash while the demo runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import guides

FOREST, TREE = ("random_forest", "0.0.1"), ("decision_tree", "0.0.2")


def who(reply: dict[str, Any]) -> tuple[str, str]:
    return reply["algorithm"], reply["version"]


def test_the_first_five_minutes(tmp_path: Path, bundles: Path) -> None:
    script = "\n".join(guides.blocks("README.md", "The first five minutes", "bash"))
    assert "127.0.0.1:8000" in script
    folder = guides.clone(tmp_path / "clone", bundles)
    with guides.demo(folder) as port:
        printed = guides.run(script.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), folder)

    replies = [json.loads(line) for line in printed.splitlines() if re.match(r'\{"|\[\{"', line)]
    statuses, before, feedback, logged, promotion, promoted, rollback, after, history, then = replies

    by_status = sorted(step["status"] for step in statuses)
    assert by_status == ["production", "staging", "testing", "testing"]
    assert who(before) == FOREST
    assert feedback == {"id": before["request_id"], "status": "accepted", "feedback": "<=50K"}
    assert logged["full_response"] == before
    assert logged["feedback"] == "<=50K"
    assert (promotion["status"], promotion["created_by"]) == ("production", "key:five-minutes")
    assert who(promoted) == TREE
    assert (rollback["status"], rollback["reason"]) == ("production", "the forest was better")
    assert who(after) == FOREST
    assert after["probability"] == before["probability"]
    assert [(who(step), step["status"]) for step in history[:5]] == [
        (FOREST, "production"),
        (TREE, "staging"),
        (TREE, "production"),
        (FOREST, "staging"),
        (TREE, "testing"),
    ]
    assert who(then["production"]) == FOREST

    scored = (folder / "scored.csv").read_text().splitlines()
    assert len(scored) == 16_282
    assert scored[0].endswith(",income,label,probability,request_id")

    log = (folder / "demo.log").read_text()
    assert re.search(r"^API key: mlp_\S+$", log, re.MULTILINE)
    assert "Traceback" not in log


def test_the_two_commands_are_targets_of_make() -> None:
    commands = re.findall(r"^make (\w+)", "\n".join(guides.blocks("README.md", "Two commands", "sh")), re.MULTILINE)
    targets = re.findall(r"^(\w+):", (guides.REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= set(targets)
