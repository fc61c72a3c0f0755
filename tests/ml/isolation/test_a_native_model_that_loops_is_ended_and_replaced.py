"""A model that does not answer in time costs its callers an error each; its process is ended and another takes over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hostile_models import columns
from servers import wait_until

from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime
from ml_pipeline.errors import AlgorithmNotReady, DeadlineExceeded

Make = Callable[..., IsolatedRuntime]
Again = Callable[[IsolatedRuntime, dict[str, Any]], Any]
DEADLINE_S = 1.0


def is_gone(pid: int) -> bool:
    """Whether the process has ended and was reaped."""
    return not Path(f"/proc/{pid}").exists()


def test_its_caller_is_told_and_the_next_ones_are_answered_by_another_process(isolated: Make, again: Again) -> None:
    runtime = isolated(deadline_s=DEADLINE_S)
    for _ in range(2):
        pid = int(runtime.predict(columns("pid"))[0, 1])
        with pytest.raises(DeadlineExceeded, match="within 1 s"):
            runtime.predict(columns("loop"))
        assert int(again(runtime, columns("pid"))[0, 1]) != pid
        wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]


def test_while_another_is_started_nobody_waits(isolated: Make, tmp_path: Path, again: Again) -> None:
    runtime = isolated(deadline_s=2.0)
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(5) as pool:
        looping = pool.submit(runtime.predict, columns(f"loop {begun}"))
        wait_until(begun.exists)
        waiting = [pool.submit(runtime.predict, columns("fine")) for _ in range(4)]
        assert isinstance(looping.exception(), DeadlineExceeded)
        for one in waiting:
            error = one.exception()
            assert type(error) is AlgorithmNotReady
            assert "being started again" in str(error)
    again(runtime, columns("fine"))


def test_others_are_answered_all_the_while(isolated: Make, tmp_path: Path) -> None:
    looping, other = isolated(deadline_s=2.0), isolated()
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(looping.predict, columns(f"loop {begun}"))
        wait_until(begun.exists)
        answered = 0
        while not late.done():
            assert other.predict(columns("fine"))[0, 1] == 0.5
            answered += 1
        assert isinstance(late.exception(), DeadlineExceeded)
    assert answered > 0


def test_a_slow_answer_is_never_taken_for_the_next_ones(isolated: Make, tmp_path: Path, again: Again) -> None:
    runtime = isolated(deadline_s=DEADLINE_S)
    gate = tmp_path / "gate"
    with pytest.raises(DeadlineExceeded):
        runtime.predict(columns(f"wait {gate}", 111.0))
    gate.touch()
    assert again(runtime, columns("fine", 222.0))[0, 0] == 222.0


def test_a_call_under_way_is_answered_when_the_runtime_is_closed(isolated: Make, tmp_path: Path) -> None:
    runtime = isolated()
    pid = int(runtime.predict(columns("pid"))[0, 1])
    gate = tmp_path / "gate"
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(runtime.predict(columns(f"wait {gate}", 7.0))))
    asking.start()
    wait_until((tmp_path / "gate.begun").exists)
    runtime.close()
    with pytest.raises(AlgorithmNotReady, match="unloaded"):
        runtime.predict(columns("fine"))
    assert not is_gone(pid)
    gate.touch()
    asking.join()
    assert answers[0][0].tolist() == [7.0, 1.0]
    wait_until(lambda: is_gone(pid))
