"""`ml-pipeline predict`, `promote`, `rollback` and `history`: sentences, JSON, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, free_port
from terminals import run

ROW = json.dumps(PERSON)


def said(server: Server, *arguments: str, **more: Any) -> str:
    """What the command printed; it must have ended well and complained of nothing."""
    done = run(server, *arguments, **more)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_predict_answers_in_a_sentence_a_table_or_json(door: Server, tmp_path: Path) -> None:
    sentence = said(door, "predict", ENDPOINT, ROW)
    assert sentence.startswith("<=50K, probability 0.")
    assert "(random_forest 0.0.1, request " in sentence
    one = json.loads(said(door, "predict", ENDPOINT, ROW, "--json"))
    assert one["algorithm"] == "random_forest"
    assert json.loads(said(door, "predict", ENDPOINT, "-", "--json", given=ROW))["probability"] == one["probability"]

    file = tmp_path / "rows.json"
    file.write_text(f"[{ROW}, {ROW}]")
    several = json.loads(said(door, "predict", ENDPOINT, "--file", str(file), "--json"))
    assert [reply["label"] for reply in several] == [one["label"]] * 2
    table = said(door, "predict", ENDPOINT, "--file", str(file))
    assert table.count("random_forest") == 2
    assert table.splitlines()[0].split()[:3] == ["row", "answer", "probability"]


def test_predict_passes_the_selection_on(door: Server) -> None:
    def ask(*options: str) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(said(door, "predict", ENDPOINT, ROW, "--json", *options))
        return reply

    assert ask("--algorithm", "extra_trees")["algorithm"] == "extra_trees"
    assert ask("--status", "staging")["algorithm"] == "decision_tree"
    assert set(ask("--version", "0.0.1", "--probabilities", "--unit", "7")["probabilities"]) == {"<=50K", ">50K"}


def test_promotion_rollback_and_history(start: Callable[..., Server]) -> None:
    server = start("asgi")
    promote = ("promote", ENDPOINT, "0.0.1", "--algorithm", "decision_tree")
    told = said(server, *promote, "--reason", "\x1b[31mbetter")
    assert told == f"decision_tree 0.0.1 is in production under {ENDPOINT} now.\n"
    assert "already, since" in said(server, *promote)
    step = json.loads(said(server, *promote, "--json"))
    assert (step["status"], step["changed"]) == ("production", False)

    assert said(server, "rollback", ENDPOINT) == f"random_forest 0.0.1 is in production under {ENDPOINT} again.\n"
    table = said(server, "history", ENDPOINT)
    assert "\x1b" not in table
    assert "key:admin-key" in table
    lines = [line.split() for line in table.splitlines() if "0.0.1" in line]
    assert len(lines) == 9
    steps = json.loads(said(server, "history", ENDPOINT, "--limit", "2", "--json"))
    assert [one["status"] for one in steps] == ["production", "staging"]
    then = said(server, "history", ENDPOINT, "--at", step["created_at"])
    assert then.startswith(f"decision_tree 0.0.1 was in production under {ENDPOINT} at ")
    assert "by key:admin-key" in then
    before = said(server, "history", ENDPOINT, "--at", "2020-01-01T00:00:00Z")
    assert before.startswith("Nothing was in production")
    assert json.loads(said(server, "history", ENDPOINT, "--at", step["created_at"], "--json"))["production"]


def test_a_key_that_may_not_read_rolls_back_all_the_same(start: Callable[..., Server]) -> None:
    server = start("asgi")
    said(server, "promote", ENDPOINT, "0.0.1", "--algorithm", "decision_tree")
    told = said(server, "rollback", ENDPOINT, "--reason", "worse", scope="manage")
    assert told.startswith("The algorithm with the id ")
    refused = run(server, "rollback", ENDPOINT, "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("promote", ENDPOINT, "0.0.1"), "Several algorithms are version '0.0.1'"),
        (("promote", ENDPOINT, "9"), "There is no version '9'"),
        (("rollback", "nothing"), "no endpoint"),
        (("history", ENDPOINT, "--at", "yesterday"), "a time with its offset"),
        (("predict", ENDPOINT, '{"age": "old"}'), "field 'age': expected an integer"),
        (("predict", ENDPOINT, ROW, "--version", "9"), "no algorithm"),
    ],
)
def test_a_refusal_exits_with_1_and_says_why(door: Server, arguments: tuple[str, ...], told: str) -> None:
    for options in ((), ("--json",)):
        done = run(door, *arguments, *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert told.lower() in done.stderr.lower()
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict",),
        ("predict", ENDPOINT),
        ("predict", ENDPOINT, ROW, "--file", "README.md"),
        ("predict", ENDPOINT, "{age: 7}"),
        ("predict", ENDPOINT, '{"age": NaN}'),
        ("predict", ENDPOINT, "--file", "nothing.json"),
        ("predict", ENDPOINT, "--file", "README.md"),
        ("promote", ENDPOINT),
        ("history", ENDPOINT, "--limit", "0"),
        ("register", "nothing.onnx", "--endpoint", "e", "--name", "n", "--version", "1"),
        ("register", "README.md", "--endpoint", "e", "--name", "n"),
        ("register", "README.md", "--endpoint", "e", "--name", "n", "--version", "1", "--tag", "colour"),
        ("register", "README.md", "--endpoint", "e", "--name", "n", "--version", "1", "--output", "x:tanh"),
        ("register", "README.md", "--endpoint", "e", "--name", "n", "--version", "1", "--metadata", "README.md"),
    ],
    ids=str,
)
def test_wrong_use_exits_with_2_and_asks_nobody(arguments: tuple[str, ...]) -> None:
    done = run(f"http://127.0.0.1:{free_port()}", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", ENDPOINT, ROW),
        ("promote", ENDPOINT, "0.0.1"),
        ("rollback", ENDPOINT),
        ("history", ENDPOINT),
        ("register", "tests/homes", "--endpoint", "e", "--name", "n", "--version", "1"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_server_that_is_not_reachable_exits_with_3(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    arguments = tuple(str(tmp_path) if one == "tests/homes" else one for one in arguments)
    url = f"http://127.0.0.1:{free_port()}"
    done = run(url, *arguments, "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{url} is not reachable" in done.stderr


def test_a_key_that_is_no_key_is_told_where_it_comes_from(home: Home, start: Callable[..., Server]) -> None:
    done = run(start("asgi").url, "history", ENDPOINT)
    assert done.returncode == 1
    assert "ML_PIPELINE_API_KEY" in done.stderr
