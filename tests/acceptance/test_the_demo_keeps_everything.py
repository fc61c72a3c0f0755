"""`ml-pipeline demo`: what it prints works by copy and paste; a second start loses nothing, makes nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import REPOSITORY
from people import PERSON
from servers import free_port

# Patience, for a machine that is busy: the first start registers three algorithms.
START_S = 600


@pytest.fixture
def research(bundles: Path, tmp_path: Path) -> Path:
    """A research folder whose bundles are trained already."""
    folder = tmp_path / "research"
    shutil.copytree(bundles, folder / "artifacts")
    shutil.copy(REPOSITORY / "research" / "train_income_classifier.py", folder)
    return folder


class Demo:
    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log

    @property
    def output(self) -> str:
        return self._log.read_text()

    def ready(self) -> dict[str, Any]:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                reply = httpx.get(f"{self.url}/readyz", timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert reply.status_code == 200, reply.text
            document: dict[str, Any] = reply.json()
            return document
        raise AssertionError(self.output)


def live(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["state"]) for one in document["algorithms"]]


@contextmanager
def demo(research: Path, home: Path, port: int, log: Path) -> Iterator[Demo]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PIPELINE_")}
    environment |= {"ML_PIPELINE_HOME": str(home), "PORT": str(port)}
    command = [str(Path(sys.executable).parent / "ml-pipeline"), "demo", "--research", str(research)]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, text=True, cwd=home.parent)
    try:
        yield Demo(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")


def assert_the_printed_commands_work(running: Demo, folder: Path) -> None:
    guide = running.output
    commands = guide[guide.index("export ML_PIPELINE_API_KEY") : guide.index("Ctrl-C stops")]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"label":"' in done.stdout
    assert '"status":"accepted"' in done.stdout
    assert '"error"' not in done.stdout


def test_a_second_start_finds_everything_and_makes_nothing_twice(research: Path, tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with demo(research, home, port, tmp_path / "first.log") as first:
        assert live(first.ready()) == [("random_forest", "ready")]
        key = re.search(r"^API key: (mlp_\S+)$", first.output, re.M)
        assert key, first.output
        assert "Password: " in first.output
        headers = {"Authorization": f"Bearer {key[1]}"}
        with httpx.Client(base_url=first.url, headers=headers) as client:
            algorithms = client.get("/api/v1/mlalgorithms").json()
            statuses = {row["name"]: row["current_status"] for row in algorithms}
            assert statuses == {"random_forest": "production", "extra_trees": "testing", "decision_tree": "staging"}
            answer = client.post("/api/v1/income_classifier/predict", json=PERSON).json()
            assert_the_printed_commands_work(first, tmp_path)
            moved = {"parent_mlalgorithm": 2, "status": "production"}
            assert client.post("/api/v1/mlalgorithmstatuses", json=moved).status_code == 201
    assert "Stopped." in first.output
    assert (home / "secret_key").stat().st_mode & 0o077 == 0

    with demo(research, home, port, tmp_path / "second.log") as second:
        assert live(second.ready()) == [("extra_trees", "ready")]
        assert "API key: " not in second.output
        assert "Password: " not in second.output
        assert "Registered" not in second.output
        with httpx.Client(base_url=second.url, headers=headers) as client:
            assert client.get(f"/api/v1/mlrequests/{answer['request_id']}").json()["full_response"] == answer
            assert client.post("/api/v1/income_classifier/predict", json=PERSON).json()["algorithm"] == "extra_trees"
            assert len(client.get("/api/v1/endpoints").json()) == 1
            found = client.get("/api/v1/mlalgorithms").json()
            assert [(row["id"], row["created_at"]) for row in found] == [
                (row["id"], row["created_at"]) for row in algorithms
            ]
            assert len(found) == 3


def test_a_port_in_use_is_told_before_anything_is_made(research: Path, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PIPELINE_")}
        environment |= {"ML_PIPELINE_HOME": str(tmp_path / "home"), "PORT": str(taken.getsockname()[1])}
        command = [str(Path(sys.executable).parent / "ml-pipeline"), "demo", "--research", str(research)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Cannot listen on 127.0.0.1:" in done.stderr
    assert not (tmp_path / "home" / "db.sqlite3").exists()
