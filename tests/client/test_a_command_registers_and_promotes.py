"""`ml-pipeline register` on a real server: files and what is said about them, the same again, promotion, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import signs
from homes import Home
from servers import Server
from terminals import run

from ml_pipeline.client import Client


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return signs.written(tmp_path_factory.mktemp("signs"))


@pytest.fixture
def server(module_home: Home) -> Iterator[Server]:
    one = Server("wsgi", module_home, {}).start()
    yield one
    one.stop()


@pytest.fixture
def endpoint() -> str:
    return f"e{uuid4().hex}"


@pytest.fixture
def about(tmp_path: Path) -> Path:
    path = tmp_path / "about.json"
    path.write_text(json.dumps({"metrics": {"accuracy": 0.9}, "tags": {"team": "numbers", "stage": "one"}}))
    return path


def test_a_key_that_may_not_read_registers_and_promotes(server: Server, files: dict[str, Path], endpoint: str) -> None:
    named = ("--endpoint", endpoint, "--name", "signs", "--version", "1", "--sample", str(files["rows.csv"]))
    register = ("register", str(files["m.skops"]), *named, "--promote")
    done = run(server, *register, scope="manage")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.splitlines()[1] == f"signs 1 is in production under {endpoint} now."

    with Client(server.url, server.home.keys["admin"]) as client:
        client.archive(endpoint, "1")
    for options in ((), ("--json",)):
        refused = run(server, *register, *options, scope="manage")
        assert refused.returncode == 1
        assert "testing first" in refused.stderr
        if options:
            record = json.loads(refused.stdout)
            assert (record["created"], record["version"], record["promotion"]) == (False, "1", None)
        else:
            assert refused.stdout.startswith(f"Registered before, unchanged: signs 1 under {endpoint} with the id ")


def test_the_command_registers_and_promotes(server: Server, files: dict[str, Path], endpoint: str, about: Path) -> None:
    def register(version: str, artifact: str, *more: str) -> Any:
        named = ("--endpoint", endpoint, "--name", "signs", "--version", version)
        return run(server, "register", str(files[artifact]), *named, *more)

    options = ("--reference", str(files["reference.parquet"]), "--label-column", "sign", "--metadata", str(about))
    more = ("--description", "signs", "--owner", "ann", "--tag", "stage=two=2", "--labels", "less,more")
    done = register("1", "m.skops", *options, *more, "--promote", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    record = json.loads(done.stdout)
    assert (record["created"], record["promotion"]["status"]) == (True, "production")
    assert (record["description"], record["owner"], record["metrics"]["accuracy"]) == ("signs", "ann", 0.9)
    assert record["tags"] == {"team": "numbers", "stage": "two=2"}
    assert record["signature"]["labels"] == ["less", "more"]

    output = ("--sample", str(files["rows.csv"]), "--labels", "minus,plus", "--output", "probabilities")
    told = register("2", "m.onnx", *output)
    assert told.stdout.startswith(f"Registered signs 2 under {endpoint} with the id "), told.stderr
    assert ", served by onnx" in told.stdout
    again = register("2", "m.onnx", *output, "--promote")
    assert again.stdout.startswith("Registered before, unchanged: signs 2 ")
    assert f"signs 2 is in production under {endpoint} now." in again.stdout

    about.write_text('{"colour": "red"}')
    refused = register("3", "m.onnx", "--metadata", str(about))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "'colour'" in refused.stderr
    wrong = register("3", "rows.csv")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "none of .onnx" in wrong.stderr
