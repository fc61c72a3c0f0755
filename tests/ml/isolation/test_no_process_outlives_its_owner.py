"""However a serving process ends, its template, its children and what these have started end with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_models import IMPORTABLE, columns, loading_of
from servers import wait_until

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime

Make = Callable[..., IsolatedRuntime]
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(hostile: Bundle) -> Iterator[Start]:
    """Starts an owner in a mode; see owner.py."""
    running: list[subprocess.Popen[str]] = []
    loading = loading_of(hostile)

    def begin(mode: str) -> subprocess.Popen[str]:
        here = Path(__file__).parent
        command = [sys.executable, str(here / "owner.py"), mode, loading.folder, loading.digest, *loading.trusted_keys]
        environment = {**os.environ, "PYTHONPATH": IMPORTABLE}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def is_gone(pid: int) -> bool:
    """Whether the process has ended and was reaped: one that waits to be reaped is still listed."""
    return not Path(f"/proc/{pid}").exists()


def first_line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("looping", [False, True], ids=["idle", "looping"])
def test_an_owner_that_is_killed(start: Start, tmp_path: Path, looping: bool) -> None:
    begun = tmp_path / "begun"
    owner = start(f"loop {begun}" if looping else "wait")
    family = first_line(owner)
    if looping:
        wait_until(begun.exists)
    assert not any(map(is_gone, family))
    owner.kill()
    owner.wait()
    wait_until(lambda: all(map(is_gone, family)))


def test_an_owner_that_leaves_without_a_word(start: Start) -> None:
    owner = start("exit")
    family = first_line(owner)
    assert owner.wait(60) == 0
    wait_until(lambda: all(map(is_gone, family)))


def test_an_owner_that_closes_what_it_opened(start: Start) -> None:
    owner = start("close")
    family = first_line(owner)
    wait_until(lambda: all(map(is_gone, family)))
    assert owner.poll() is None


def test_what_a_model_has_started_ends_with_its_runtime(isolated: Make) -> None:
    runtime = isolated()
    family = [int(runtime.predict(columns(order))[0, 1]) for order in ("offspring", "pid")]
    runtime.close()
    wait_until(lambda: all(map(is_gone, family)))


def test_a_stop_of_the_whole_group_leaves_the_work_under_way_alone(
    own_nursery: Nursery, isolated: Make, tmp_path: Path
) -> None:
    runtime = isolated(at=own_nursery)
    child = int(runtime.predict(columns("pid"))[0, 1])
    template = int(Path(f"/proc/{child}/status").read_text().split("PPid:")[1].split()[0])
    for number in (signal.SIGTERM, signal.SIGINT):
        for pid in (template, child):
            os.kill(pid, number)
    assert runtime.predict(columns("pid"))[0, 1] == child


def test_a_forked_owner_has_children_of_its_own_and_leaves_the_others_alone(start: Start) -> None:
    owner = start("fork")
    seen = first_line(owner)
    assert owner.wait(60) == 0
    assert seen["status"] == 0
    assert seen["before"] == seen["after"]
    assert seen["theirs"][0] == seen["theirs"][1]
    assert set(seen["theirs"][0]).isdisjoint(seen["before"])
    wait_until(lambda: all(map(is_gone, [*seen["theirs"][0], *seen["before"]])))
