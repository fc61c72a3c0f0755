"""Work whose deadline passes while it waits is refused, is never asked, and takes nobody with it."""

from __future__ import annotations

from typing import Any

from lanes import PATIENCE_S, Doubling, Told, answers, batcher, work

from ml_pipeline.apps.ml.work import Stage
from ml_pipeline.errors import AlgorithmCrashed, AlgorithmNotReady, DeadlineExceeded


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_overdue_when_its_turn_comes_is_delivered_unasked() -> None:
    run, told, clock = Doubling(), Told(), Clock()
    batches = batcher(run, told, clock=clock)
    hold = run.hold("a")
    batches.submit("a", work(1))
    hold.reached()
    mate, late, other = work(2, deadline=110.0), work(3, deadline=105.0), work(4)
    for piece in (mate, late, other):
        batches.submit("a", piece)
    clock.now = 105.0
    hold.release()
    told.has(mate, late, other)
    assert isinstance(late.error, DeadlineExceeded)
    assert told.stage(late) is Stage.SETTLED
    assert not late.is_asked
    assert [answers(mate), answers(other)] == [[4], [8]]
    assert [values for _, values in run.asked] == [[1], [2, 4]]
    assert batches.close(PATIENCE_S)
    assert batches.rows == 0


def test_an_algorithm_is_not_called_where_all_is_overdue() -> None:
    run, told, clock = Doubling(), Told(), Clock()
    batches = batcher(run, told, clock=clock)
    pieces = [work(1, deadline=100.0), work(2, deadline=99.0)]
    for piece in pieces:
        batches.submit("a", piece)
    told.has(*pieces)
    assert batches.close(PATIENCE_S)
    assert all(isinstance(piece.error, DeadlineExceeded) and not piece.is_asked for piece in pieces)
    assert not run.asked


def test_what_was_asked_in_time_is_answered_however_long_it_takes() -> None:
    clock, told = Clock(), Told()

    def act(values: list[Any]) -> None:
        clock.now += 1_000.0

    piece = work(1, deadline=101.0)
    batcher(Doubling(act), told, clock=clock).submit("a", piece)
    told.has(piece)
    assert answers(piece) == [2]


def test_a_crashed_algorithm_is_waited_for_no_longer_than_the_deadline() -> None:
    clock, told = Clock(), Told()

    def act(values: list[Any]) -> None:
        if values == [0]:
            return
        if len(values) > 1:
            raise AlgorithmCrashed("It ended.")
        clock.now += 1.0
        raise AlgorithmNotReady("It is being started.")

    run = Doubling(act)
    batches = batcher(run, told, clock=clock)
    hold = run.hold("a")
    batches.submit("a", work(0))
    hold.reached()
    pieces = [work(1, deadline=102.5), work(2, deadline=104.5)]
    for piece in pieces:
        batches.submit("a", piece)
    hold.release()
    told.has(*pieces)
    assert all(isinstance(piece.error, DeadlineExceeded) for piece in pieces)
    assert [values for _, values in run.asked] == [[0], [1, 2], [1], [1], [1], [2], [2]]
