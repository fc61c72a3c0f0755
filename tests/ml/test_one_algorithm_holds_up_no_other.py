"""Algorithms that are asked at the same time neither wait for each other nor get each other's rows or answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

from lanes import PATIENCE_S, Doubling, Told, answers, batcher, work

from ml_pipeline.apps.ml import batching
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.records import Records

SUBMITTERS = 4
PIECES = 200


def test_an_algorithm_that_blocks_holds_up_no_other() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    hold, blocked = run.hold("slow"), work(1)
    batches.submit("slow", blocked)
    hold.reached()
    for value in range(10):
        piece = work(value)
        batches.submit("quick", piece)
        told.has(piece)
        assert answers(piece) == [2 * value]
    assert told.stage(blocked) is None
    hold.release()
    told.has(blocked)
    assert batches.close(PATIENCE_S)


def test_more_algorithms_than_threads_are_all_answered() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told)
    keys = range(batching.MAX_THREADS + 20)
    holds, pieces = [run.hold(key) for key in keys], [work(key) for key in keys]
    for key in keys:
        batches.submit(key, pieces[key])
    for hold in holds[: batching.MAX_THREADS]:
        hold.reached()
    assert batches.threads == batching.MAX_THREADS
    assert not any(hold.is_entered.is_set() for hold in holds[batching.MAX_THREADS :])
    for hold in holds:
        hold.release()
    assert batches.close(PATIENCE_S)
    told.has(*pieces)
    assert [answers(piece) for piece in pieces] == [[2 * key] for key in keys]


def test_rows_and_answers_never_reach_another_algorithm() -> None:
    told = Told()
    strangers: list[Any] = []

    def run(key: int, rows: Records) -> Sequence[Prediction]:
        strangers.extend(row["x"] for row in rows if row["x"][0] != key)
        return [Prediction(None, None, None, row["x"][0] * 1e6 + row["x"][1]) for row in rows]

    batches = batcher(run, told, max_batch=5, queue_rows=10**6)
    begin = threading.Barrier(SUBMITTERS)
    submitted: list[list[tuple[int, list[int], Any]]] = [[] for _ in range(SUBMITTERS)]

    def submit(place: int) -> None:
        chance = random.Random(place)
        begin.wait(PATIENCE_S)
        for number in range(PIECES):
            key = chance.randrange(6)
            numbers = [place * 100_000 + number * 10 + extra for extra in range(chance.randint(1, 7))]
            piece = work(*((key, one) for one in numbers))
            submitted[place].append((key, numbers, piece))
            batches.submit(key, piece)

    submitters = [threading.Thread(target=submit, args=(place,)) for place in range(SUBMITTERS)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(PATIENCE_S)
    assert batches.close(PATIENCE_S)
    assert not strangers
    everything = [one for pieces in submitted for one in pieces]
    assert len(everything) == SUBMITTERS * PIECES == len(told.stages) == sum(map(len, told.batches))
    for key, numbers, piece in everything:
        assert answers(piece) == [key * 1e6 + one for one in numbers]
    # Of one submitter the pieces of one algorithm are answered in the order in which they came.
    turn = {id(piece): place for place, piece in enumerate(piece for batch in told.batches for piece in batch)}
    for pieces in submitted:
        for key in range(6):
            turns = [turn[id(piece)] for its_key, _, piece in pieces if its_key == key]
            assert turns == sorted(turns)
