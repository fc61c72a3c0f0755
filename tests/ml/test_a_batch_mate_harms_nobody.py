"""Whatever becomes of one piece of work in a batch, the others in it are answered, and so is the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from lanes import PATIENCE_S, Doubling, Told, answers, batcher, together, work

from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.apps.ml.work import Stage, Work
from ml_pipeline.errors import AlgorithmCrashed, AlgorithmFailed, AlgorithmNotReady


def test_what_is_given_up_while_it_waits_is_never_run() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    hold = run.hold("a")
    first, second, third = work(1), work(2), work(3)
    batches.submit("a", first)
    hold.reached()
    batches.submit("a", second)
    batches.submit("a", third)
    assert batches.give_up(second)
    hold.release()
    told.has(first, third)
    assert batches.close(PATIENCE_S)
    assert all(2 not in values for _, values in run.asked)
    assert told.stage(second) is None
    assert second.stage is Stage.GIVEN_UP
    assert not second.is_asked
    assert [answers(first), answers(third)] == [[2], [6]]
    assert batches.rows == 0


def test_what_is_given_up_while_it_runs_runs_on_beside_its_mates() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    mate, leaver, other = work(1), work(2), work(3)
    before = run.hold("a")
    batches.submit("a", work(0))
    before.reached()
    for piece in (mate, leaver, other):
        batches.submit("a", piece)
    within = run.hold("a")
    before.release()
    within.reached()
    assert run.asked[-1] == ("a", [1, 2, 3])
    assert batches.give_up(leaver)
    within.release()
    told.has(mate, leaver, other)
    assert told.batches[-1] == [mate, leaver, other]
    assert [told.stage(piece) for piece in (mate, leaver, other)] == [Stage.SETTLED, Stage.GIVEN_UP, Stage.SETTLED]
    assert [answers(mate), answers(other)] == [[2], [6]]
    assert leaver.is_asked
    assert batches.close(PATIENCE_S)


def test_what_is_settled_can_no_longer_be_given_up() -> None:
    told = Told()
    batches = batcher(Doubling(), told)
    piece = work(1)
    batches.submit("a", piece)
    told.has(piece)
    assert not batches.give_up(piece)
    assert piece.stage is Stage.SETTLED


@pytest.mark.parametrize("wrong", [lambda one: [], lambda one: one[:-1], lambda one: [*one, *one]])
def test_a_wrong_number_of_answers_is_a_failure_and_nobody_gets_anothers(wrong: Any) -> None:
    run, told = Doubling(), Told()

    def miscounting(key: Any, rows: Records) -> Sequence[Prediction]:
        predictions = run(key, rows)
        return wrong(predictions) if 13 in run.asked[-1][1] else predictions

    batches = batcher(miscounting, told)
    mate, culprit, pair = work(1), work(13), work(3, 4)
    together(batches, run, mate, culprit, pair)
    told.has(mate, culprit, pair)
    assert [answers(mate), answers(pair)] == [[2], [6, 8]]
    assert isinstance(culprit.error, AlgorithmFailed)
    assert not culprit.predictions
    assert batches.close(PATIENCE_S)


@pytest.mark.parametrize("error", [AlgorithmFailed("on this input"), ValueError("hunter2"), MemoryError()])
def test_what_an_algorithm_raises_befalls_only_its_cause_and_the_next_is_answered(error: Exception) -> None:
    def act(values: list[Any]) -> None:
        if 13 in values:
            raise error

    run, told = Doubling(act), Told()
    batches = batcher(run, told)
    pieces = [work(value) for value in (1, 2, 13, 4, 5)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert [answers(piece) for piece in pieces if piece is not pieces[2]] == [[2], [4], [8], [10]]
    assert isinstance(pieces[2].error, AlgorithmFailed)
    assert "hunter2" not in pieces[2].error.message
    assert error in (pieces[2].error, pieces[2].error.__cause__)
    assert told.batches[-1] == pieces

    following = work(6)
    batches.submit("a", following)
    told.has(following)
    assert answers(following) == [12]
    assert batches.close(PATIENCE_S)


def test_all_fail_where_an_algorithm_always_raises_and_closing_completes() -> None:
    def act(values: list[Any]) -> None:
        raise ZeroDivisionError

    run, told = Doubling(act), Told()
    batches = batcher(run, told)
    pieces = [work(value) for value in range(7)]
    together(batches, run, *pieces)
    assert batches.close(PATIENCE_S)
    told.has(*pieces)
    assert all(isinstance(piece.error, AlgorithmFailed) for piece in pieces)


class Roots:
    """A runtime whose output is NaN for negative numbers, as a model's is for rows it has no answer to."""

    name = "roots"
    is_isolated = False

    def predict(self, columns: Columns) -> Any:
        return np.array([math.sqrt(x) if x >= 0 else math.nan for x in columns["x"]])

    def close(self) -> None:
        pass


def test_an_answer_that_is_no_number_fails_only_the_row_that_caused_it() -> None:
    algorithm = Algorithm(Signature((Feature("x", "number"),), "regression"), Roots())
    run, told = Doubling(), Told()

    def predicting(key: Any, rows: Records) -> Sequence[Prediction]:
        run(key, rows)
        return algorithm.compute_prediction(rows)

    batches = batcher(predicting, told)
    pieces = [work(4.0), work(-1.0), work(9.0, 16.0), work(25.0)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert [answers(piece) for piece in pieces if piece is not pieces[1]] == [[2.0], [3.0, 4.0], [5.0]]
    assert isinstance(pieces[1].error, AlgorithmFailed)
    assert "finite" in pieces[1].error.message


def test_the_mates_of_what_crashed_an_algorithm_wait_until_it_is_started_again() -> None:
    restarting = 0

    def act(values: list[Any]) -> None:
        nonlocal restarting
        if 13 in values and not restarting:
            restarting = 3
            raise AlgorithmCrashed("It ended.")
        if restarting > 1:
            restarting -= 1
            raise AlgorithmNotReady("It is being started.")
        restarting = 0

    run, told = Doubling(act), Told()
    batches = batcher(run, told)
    pieces = [work(1), work(2), work(3), work(13)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert [answers(piece) for piece in pieces[:3]] == [[2], [4], [6]]
    assert isinstance(pieces[3].error, AlgorithmCrashed)


def test_an_algorithm_that_is_not_loaded_is_the_fate_of_all_at_once() -> None:
    def act(values: list[Any]) -> None:
        if values != [0]:
            raise AlgorithmNotReady("It is not loaded.")

    run, told = Doubling(act), Told()
    batches = batcher(run, told)
    pieces = [work(1), work(2)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert all(type(piece.error) is AlgorithmNotReady for piece in pieces)
    assert [values for _, values in run.asked] == [[0], [1, 2]]


def test_answers_that_cannot_be_handed_on_do_not_stop_the_lane() -> None:
    told = Told()

    def deliver(batch: Sequence[Work]) -> None:
        told(batch)
        if len(told.batches) == 1:
            raise RuntimeError("nobody there")

    batches = batcher(Doubling(), deliver)
    for value in (1, 2):
        piece = work(value)
        batches.submit("a", piece)
        told.has(piece)
        assert answers(piece) == [2 * value]
    assert batches.close(PATIENCE_S)
    assert batches.rows == 0
