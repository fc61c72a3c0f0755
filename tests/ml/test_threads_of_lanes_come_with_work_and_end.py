"""A batcher has threads while there is work and a little longer; closing and forking lose nothing that was taken."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from lanes import PATIENCE_S, Doubling, Told, answers, batcher, work
from servers import wait_until

from ml_pipeline.apps.ml import batching
from ml_pipeline.apps.ml.work import Stage
from ml_pipeline.errors import AlgorithmNotReady


def test_there_is_no_thread_before_there_is_work_and_none_long_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "IDLE_S", 0.0)
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    assert batches.threads == 0
    for value in (1, 2):
        piece, hold = work(value), run.hold("a")
        batches.submit("a", piece)
        hold.reached()
        assert batches.threads == 1
        hold.release()
        told.has(piece)
        assert answers(piece) == [2 * value]
        run.threads[-1].join(PATIENCE_S)
        assert not run.threads[-1].is_alive()
        assert batches.threads == 0
    assert run.threads[0] is not run.threads[1]


def test_a_thread_that_waits_for_work_takes_the_next() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    for value in range(20):
        batches.submit(value, piece := work(value))
        told.has(piece)
        # It has handed on the answer and is on its way.
        wait_until(lambda: batches._idle == 1)
    assert len(set(run.threads)) == 1
    assert batches.close(PATIENCE_S)
    run.threads[0].join(PATIENCE_S)
    assert batches.threads == 0


def test_closing_while_busy_answers_all_that_was_taken_and_takes_no_more() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, max_batch=2)
    holds = {key: run.hold(key) for key in "ab"}
    pieces = [work(1), work(2), work(3), work(4), work(5), work(6)]
    for piece, key in zip(pieces, "aabbab", strict=True):
        batches.submit(key, piece)
    for hold in holds.values():
        hold.reached()
    assert not batches.close(0.0)

    refused = work(7)
    for key in "ac":
        with pytest.raises(AlgorithmNotReady):
            batches.submit(key, refused)
    closed: list[bool] = []
    closers = [threading.Thread(target=lambda: closed.append(batches.close(PATIENCE_S))) for _ in range(2)]
    for closer in closers:
        closer.start()
    for hold in holds.values():
        hold.release()
    for closer in closers:
        closer.join(PATIENCE_S)
    assert closed == [True, True]
    assert [answers(piece) for piece in pieces] == [[2], [4], [6], [8], [10], [12]]
    assert refused.stage is Stage.WAITING
    assert batches.rows == 0
    for thread in set(run.threads):
        thread.join(PATIENCE_S)
    assert batches.threads == 0


def test_closing_what_never_had_work_is_done_at_once() -> None:
    batches = batcher(Doubling(), Told())
    assert batches.close(0.0)
    assert batches.close(0.0)


def test_a_forked_process_begins_with_lanes_of_its_own() -> None:
    script = "import test_threads_of_lanes_come_with_work_and_end as here; here.fork_while_busy()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["child", "parent"]


def fork_while_busy() -> None:
    """Both processes print their name once what was submitted in them is answered."""
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=2)
    hold, running, waiting = run.hold("a"), work(1), work(2)
    batches.submit("a", running)
    hold.reached()
    batches.submit("a", waiting)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert (batches.rows, batches.threads) == (0, 0)
            # The lane is full and served in the parent alone.
            batches.submit("a", piece := work(3, 4))
            told.has(piece)
            assert answers(piece) == [6, 8]
            assert batches.close(PATIENCE_S)
            assert [told.stage(piece) for piece in (running, waiting)] == [None, None]
            assert [values for _, values in run.asked] == [[1], [3, 4]]
            os.write(1, b"child\n")
            status = 0
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert batches.rows == 2
    hold.release()
    told.has(running, waiting)
    assert [answers(running), answers(waiting)] == [[2], [4]]
    assert batches.close(PATIENCE_S)
    assert [values for _, values in run.asked] == [[1], [2]]
    os.write(1, b"parent\n")
