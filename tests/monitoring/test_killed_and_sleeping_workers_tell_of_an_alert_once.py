"""Two workers ask the rules, are killed at random and sleep past their lease: each breach is told once, and its end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import REPOSITORY, Home

HERE = Path(__file__).parent
BREACHES = 12
PATIENCE_S = 400
LEASE_S = 1.0


class Processes:
    """Scripts of this folder, each in a process of its own."""

    def __init__(self, home: Home) -> None:
        self._environment = {**home.environment, "PYTHONPATH": f"{REPOSITORY / 'tests'}:{HERE}"}
        self._begun: list[subprocess.Popen[Any]] = []

    def begin(self, script: str, argument: object) -> subprocess.Popen[Any]:
        command = [sys.executable, str(HERE / script), str(argument)]
        process = subprocess.Popen(command, env=self._environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        self._begun.append(process)
        return process

    def stop(self) -> None:
        for process in self._begun:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    """In a home of each database in turn."""
    names = {"sqlite": "", "postgresql": "postgres_url", "mysql": "mysql_url"}
    name = names[request.param]
    found = Processes(Home(tmp_path / "home", request.getfixturevalue(name) if name else "").make())
    yield found
    found.stop()


def test_each_breach_is_told_once(processes: Processes) -> None:
    draw, begun = random.Random(5), time.monotonic()
    driver = processes.begin("breaching.py", BREACHES)
    workers = [processes.begin("alert_worker.py", LEASE_S) for _ in range(2)]
    while driver.poll() is None:
        assert time.monotonic() - begun < PATIENCE_S
        # It may be anywhere then: whatever it was at is done by the other.
        time.sleep(draw.uniform(0.2, 2.0))
        at = draw.randrange(2)
        if draw.random() < 0.5:
            workers[at].kill()
            workers[at].communicate()
            workers[at] = processes.begin("alert_worker.py", LEASE_S)
        else:
            workers[at].send_signal(signal.SIGSTOP)
            time.sleep(draw.uniform(0.5, 2.0) * LEASE_S)
            workers[at].send_signal(signal.SIGCONT)
    assert driver.returncode == 0
    found = json.loads((driver.stdout.read() if driver.stdout else "").splitlines()[-1])
    assert found["told"] == ["alert.opened", "alert.recovered"] * BREACHES
    assert found["alerts"] == ["recovered"] * BREACHES
