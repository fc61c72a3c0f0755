"""A caller who may serve is left a lane that is known to be quick, and only such a one, and then answers it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from lanes import PATIENCE_S, Doubling, Told, answers, batcher, work

from ml_pipeline.apps.ml import batching
from ml_pipeline.apps.ml.batching import QUICK_S, MicroBatcher
from ml_pipeline.apps.ml.work import Work
from ml_pipeline.errors import AlgorithmFailed, Overloaded


class Lanes:
    """A batcher whose algorithm takes `row_s` seconds a row, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        # A thread ends with its lane, so that whoever joins it knows that the lane is empty.
        monkeypatch.setattr(batching, "IDLE_S", 0.0)
        self.row_s, self._now = QUICK_S / 10, 0.0
        self.run, self.told = Doubling(self._take_time), Told()
        self.batches: MicroBatcher[Work] = batcher(self.run, self.told, clock=lambda: self._now, **changes)

    def _take_time(self, values: list[Any]) -> None:
        self._now += self.row_s * len(values)

    def learn(self, key: str, row_s: float) -> None:
        """What was measured of `key` is `row_s`."""
        self.row_s = row_s
        piece = work(1)
        assert not self.batches.submit(key, piece)
        self.told.has(piece)
        self.run.threads[-1].join(PATIENCE_S)


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Lanes:
    return Lanes(monkeypatch)


def test_a_lane_of_which_nothing_is_known_is_served_by_a_thread(lanes: Lanes) -> None:
    piece = work(1)
    assert not lanes.batches.submit("a", piece, may_serve=True)
    lanes.told.has(piece)
    assert lanes.run.threads[0] is not threading.current_thread()
    assert answers(piece) == [2]


def test_a_lane_that_is_known_to_be_quick_is_answered_by_whoever_submits(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    first, second = work(1), work(2)
    assert lanes.batches.submit("a", first, may_serve=True)
    # He is coming: nobody else is asked to, and a thread is not made.
    assert not lanes.batches.submit("a", second, may_serve=True)
    assert lanes.batches.threads == 0
    assert lanes.told.stage(first) is None
    lanes.batches.serve(["a"])
    assert lanes.run.asked[-1] == ("a", [1, 2])
    assert lanes.run.threads[-1] is threading.current_thread()
    assert [answers(first), answers(second)] == [[2], [4]]
    assert lanes.batches.close(PATIENCE_S)


def test_whoever_may_not_serve_is_not_asked_to(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    piece = work(1)
    assert not lanes.batches.submit("a", piece)
    lanes.told.has(piece)
    assert lanes.run.threads[-1] is not threading.current_thread()


def test_what_is_known_of_one_algorithm_is_not_known_of_another(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    assert not lanes.batches.submit("b", work(1), may_serve=True)
    assert lanes.batches.close(PATIENCE_S)


def test_a_slow_lane_is_served_by_a_thread(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S)
    assert not lanes.batches.submit("a", work(1), may_serve=True)
    assert lanes.batches.close(PATIENCE_S)


def test_many_rows_of_a_quick_algorithm_are_served_by_a_thread(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    assert not lanes.batches.submit("a", work(*range(10)), may_serve=True)
    assert lanes.batches.close(PATIENCE_S)


def test_what_was_slow_once_is_slow_for_a_while(lanes: Lanes) -> None:
    lanes.learn("a", 2 * QUICK_S)
    for _ in range(3):
        lanes.learn("a", QUICK_S / 10)
        piece = work(1)
        assert not lanes.batches.submit("a", piece, may_serve=True)
        lanes.told.has(piece)
        lanes.run.threads[-1].join(PATIENCE_S)
    for _ in range(20):
        lanes.learn("a", QUICK_S / 10)
    assert lanes.batches.submit("a", work(1), may_serve=True)
    lanes.batches.serve(["a"])


def test_where_batches_are_waited_for_no_caller_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes(monkeypatch, max_wait_us=1)
    lanes.learn("a", QUICK_S / 10)
    assert not lanes.batches.submit("a", work(1), may_serve=True)
    assert lanes.batches.close(PATIENCE_S)


def test_a_caller_may_close_once_he_has_served(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    piece = work(1)
    assert lanes.batches.submit("a", piece, may_serve=True)
    assert not lanes.batches.close(0.0)
    lanes.batches.serve(["a"])
    assert answers(piece) == [2]
    assert lanes.batches.close(PATIENCE_S)


def test_what_a_caller_answers_of_several_algorithms_is_handed_on_together(lanes: Lanes) -> None:
    for key in "ab":
        lanes.learn(key, QUICK_S / 10)
    pieces = {"a": [work(1), work(2)], "b": [work(3)]}
    asked_to = [key for key, its in pieces.items() for one in its if lanes.batches.submit(key, one, may_serve=True)]
    assert asked_to == ["a", "b"]
    lanes.batches.serve(asked_to)
    assert lanes.run.asked[-2:] == [("a", [1, 2]), ("b", [3])]
    assert lanes.told.batches[-1] == [*pieces["a"], *pieces["b"]]
    assert [answers(one) for its in pieces.values() for one in its] == [[2], [4], [6]]
    assert lanes.batches.rows == 0


def test_of_several_algorithms_one_that_fails_harms_no_other(lanes: Lanes) -> None:
    for key in "ab":
        lanes.learn(key, QUICK_S / 10)
    # Nothing has twice its value.
    bad, good = work(None), work(3)
    assert lanes.batches.submit("a", bad, may_serve=True)
    assert lanes.batches.submit("b", good, may_serve=True)
    lanes.batches.serve(["a", "b"])
    assert isinstance(bad.error, AlgorithmFailed)
    assert answers(good) == [6]
    assert lanes.told.batches[-1] == [bad, good]


def test_a_lane_that_has_grown_since_is_left_to_a_thread(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    first, long = work(1), work(*range(50))
    assert lanes.batches.submit("a", first, may_serve=True)
    assert not lanes.batches.submit("a", long, may_serve=True)
    assert lanes.batches.serve(["a"]) == []
    lanes.told.has(first, long)
    assert lanes.run.threads[-1] is not threading.current_thread()
    assert lanes.batches.close(PATIENCE_S)


def test_an_algorithm_that_is_not_at_hand_any_more_is_left_to_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: set[str] = set()
    lanes = Lanes(monkeypatch, is_at_hand=lambda key: key not in gone)
    lanes.learn("a", QUICK_S / 10)
    piece = work(1)
    assert lanes.batches.submit("a", piece, may_serve=True)
    gone.add("a")
    assert lanes.batches.serve(["a"]) == []
    lanes.told.has(piece)
    assert lanes.run.threads[-1] is not threading.current_thread()


def test_many_lanes_are_served_in_several_goes(lanes: Lanes) -> None:
    keys = [str(number) for number in range(10)]
    for key in keys:
        lanes.learn(key, 0.9 * QUICK_S)
    pieces = {key: work(1) for key in keys}
    for key, piece in pieces.items():
        assert lanes.batches.submit(key, piece, may_serve=True)
    left = keys
    goes = []
    while left:
        before, left = left, lanes.batches.serve(left)
        goes.append(len(before) - len(left))
    assert goes == [5, 5]
    assert all(answers(piece) == [2] for piece in pieces.values())
    assert lanes.batches.close(PATIENCE_S)


def test_a_caller_answers_one_batch_and_leaves_what_comes_meanwhile_to_a_thread(lanes: Lanes) -> None:
    lanes.learn("a", QUICK_S / 10)
    first, meanwhile = work(1), work(2)
    lanes.run.act = lambda values: None if values == [2] else submit_meanwhile()

    def submit_meanwhile() -> None:
        assert not lanes.batches.submit("a", meanwhile, may_serve=True)

    assert lanes.batches.submit("a", first, may_serve=True)
    assert lanes.batches.serve(["a"]) == []
    lanes.told.has(first, meanwhile)
    assert lanes.run.asked[-2:] == [("a", [1]), ("a", [2])]
    assert lanes.run.threads[-2] is threading.current_thread()
    assert lanes.run.threads[-1] is not threading.current_thread()
    assert lanes.batches.close(PATIENCE_S)


def test_without_a_thread_to_be_had_work_is_refused_and_later_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    batches = batcher(Doubling(), told)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Overloaded):
            batches.submit("a", work(1))
        assert batches.rows == 0
    piece = work(1)
    batches.submit("a", piece)
    told.has(piece)
    assert answers(piece) == [2]
