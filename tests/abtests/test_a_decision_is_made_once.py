"""Workers that are killed, two stops at once, stops while feedback streams in: one decision, one in production."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import REPOSITORY, Home
from servers import wait_until

PROGRAM = str(Path(__file__).parent / "streaming.py")


class Streaming:
    """A home with a test, and the processes that were started on it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.processes: list[subprocess.Popen[str]] = []

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Begins a process."""
        process = subprocess.Popen(
            [sys.executable, *command], env=self.home.environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> Any:
        """What the program prints, as JSON."""
        printed = self.home.run(sys.executable, PROGRAM, *arguments).stdout
        return json.loads(printed) if printed else None

    def work(self) -> subprocess.Popen[str]:
        """Begins a worker."""
        return self.begin("backend/manage.py", "worker")

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate(timeout=30)


@pytest.fixture(params=["sqlite", "postgres"])
def streaming(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Streaming]:
    """On each database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    one = Streaming(Home(tmp_path / "home", url).make())
    yield one
    one.stop()


def test_workers_that_are_killed_count_everything_once(streaming: Streaming) -> None:
    # No evidence is enough.
    streaming.run("start", json.dumps({"alpha": 1e-6, "harm_alpha": 1e-6, "min_labels": 1_000_000}))
    streams = [streaming.begin(PROGRAM, "stream", str(seed), "3000") for seed in range(2)]
    draw = random.Random(5)
    while any(stream.poll() is None for stream in streams):
        worker = streaming.work()
        time.sleep(draw.uniform(1.0, 4.0))
        worker.kill()
        worker.wait(30)
    assert [stream.wait(60) for stream in streams] == [0, 0]
    streaming.work()
    # A lease of a killed worker runs out first.
    wait_until(lambda: streaming.run("state")["uncounted"] == 0, 90)
    found = streaming.run("state")
    assert found["units"] == [6_000, 6_000]
    assert found["counted"][0] == found["counted"][1] > 1_500
    streaming.run("stop", "ann")
    found = streaming.run("state")
    assert (found["state"], found["result"], found["production"]) == ("finished", "stayed", ["1"])
    assert (found["ends"], found["problems"]) == (1, [])


def test_two_stops_at_once_while_feedback_streams_in_make_one_decision(streaming: Streaming) -> None:
    streaming.run("start", json.dumps({"alpha": 1e-6, "harm_alpha": 1e-6, "min_labels": 1_000_000}))
    streams = [streaming.begin(PROGRAM, "stream", str(seed), "1500") for seed in range(2)]
    streaming.work()
    wait_until(lambda: streaming.run("state")["counted"][0] > 50, 60)
    stops = [streaming.begin(PROGRAM, "stop", actor) for actor in ("ann", "bob")]
    told = [json.loads(stop.communicate(timeout=60)[0]) for stop in stops]
    assert sorted(told) == [[False, "stayed"], [True, "stayed"]]
    assert [stream.wait(120) for stream in streams] == [0, 0]
    found = streaming.run("state")
    assert (found["state"], found["ends"], found["production"], found["problems"]) == ("finished", 1, ["1"], [])


def test_a_worker_that_is_killed_while_it_promotes_leaves_one_in_production(streaming: Streaming) -> None:
    streaming.run("start", json.dumps({"alpha": 0.05}))
    assert streaming.begin(PROGRAM, "stream", "1", "6000").wait(120) == 0
    draw = random.Random(9)
    for _ in range(4):
        worker = streaming.work()
        time.sleep(draw.uniform(0.8, 2.0))
        worker.kill()
        worker.wait(30)
        found = streaming.run("state")
        # Before the decision nobody is in production, and the champion answers as such.
        assert len(found["production"]) == (1 if found["state"] == "finished" else 0)
    streaming.work()
    wait_until(lambda: streaming.run("state")["state"] == "finished", 90)
    found = streaming.run("state")
    assert (found["result"], found["production"], found["ends"], found["problems"]) == ("promoted", ["2"], 1, [])
