"""A lane that is full refuses at once until there is room again; a batch has so many rows and no more."""

from __future__ import annotations

import pytest
from lanes import PATIENCE_S, Doubling, Told, answers, batcher, together, work

from ml_pipeline.errors import Overloaded

# As good as for ever.
HOUR_US = 3_600_000_000


def test_what_comes_on_top_of_a_full_lane_is_refused_and_harms_nobody() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=5)
    hold = run.hold("a")
    kept = [work(1), work(2, 3), work(4, 5)]
    batches.submit("a", kept[0])
    hold.reached()
    batches.submit("a", kept[1])
    batches.submit("a", kept[2])
    refused = work(6)
    # Rows that are being answered are counted too.
    with pytest.raises(Overloaded):
        batches.submit("a", refused)
    assert batches.rows == 5

    elsewhere = work(7)
    batches.submit("b", elsewhere)
    told.has(elsewhere)
    hold.release()
    told.has(*kept)
    assert [answers(piece) for piece in kept] == [[2], [4, 6], [8, 10]]
    assert told.stage(refused) is None
    assert batches.close(PATIENCE_S)
    assert all(6 not in values for _, values in run.asked)


def test_there_is_room_again_once_answers_are_delivered() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=2, max_batch=1)
    hold = run.hold("a")
    pieces = [work(0)]
    batches.submit("a", pieces[0])
    hold.reached()
    for value in range(1, 5):
        pieces.append(work(value))
        batches.submit("a", pieces[-1])
        with pytest.raises(Overloaded):
            batches.submit("a", work(9))
        before, hold = hold, run.hold("a")
        before.release()
        hold.reached()
    hold.release()
    assert batches.close(PATIENCE_S)
    assert [answers(piece) for piece in pieces] == [[0], [2], [4], [6], [8]]
    assert batches.rows == 0


def test_what_was_given_up_holds_no_room_once_its_turn_has_come() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=3, max_batch=1)
    hold = run.hold("a")
    batches.submit("a", work(1))
    hold.reached()
    left, second = work(2), work(3)
    batches.submit("a", left)
    batches.submit("a", second)
    assert batches.give_up(left)
    before, hold = hold, run.hold("a")
    before.release()
    hold.reached()
    assert run.asked[-1] == ("a", [3])
    third = work(4, 5)
    batches.submit("a", third)
    hold.release()
    told.has(second, third)


def test_a_piece_that_is_larger_than_the_queue_is_let_in_alone() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=3)
    hold, large = run.hold("a"), work(1, 2, 3, 4, 5)
    batches.submit("a", large)
    hold.reached()
    for values in ([6], [6, 7, 8, 9, 10]):
        with pytest.raises(Overloaded):
            batches.submit("a", work(*values))
    hold.release()
    told.has(large)
    assert answers(large) == [2, 4, 6, 8, 10]
    assert batches.close(PATIENCE_S)


def test_a_piece_that_is_larger_than_the_queue_is_refused_beside_another() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, queue_rows=3)
    hold = run.hold("a")
    batches.submit("a", work(1))
    hold.reached()
    with pytest.raises(Overloaded):
        batches.submit("a", work(2, 3, 4, 5))
    hold.release()
    assert batches.close(PATIENCE_S)


def test_a_batch_has_no_more_rows_than_it_may_and_keeps_the_order() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, max_batch=4)
    pieces = [work(1), work(2, 3), work(4, 5), work(6), work(7)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert [values for _, values in run.asked] == [[0], [1, 2, 3], [4, 5, 6, 7]]
    assert [answers(piece) for piece in pieces] == [[2], [4, 6], [8, 10], [12], [14]]


def test_a_single_piece_with_more_rows_than_a_batch_is_asked_whole_and_alone() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, max_batch=2)
    pieces = [work(1), work(2, 3, 4), work(5)]
    together(batches, run, *pieces)
    told.has(*pieces)
    assert [values for _, values in run.asked] == [[0], [1], [2, 3, 4], [5]]


def test_a_batch_is_waited_for_until_it_is_full_where_that_is_wanted() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, max_wait_us=HOUR_US, max_batch=3)
    pieces = [work(1), work(2), work(3)]
    for piece in pieces:
        batches.submit("a", piece)
        # Long enough for a thread that does not wait to have asked.
        full = work(7, 8, 9)
        batches.submit("b", full)
        told.has(full)
    told.has(*pieces)
    assert [values for key, values in run.asked if key == "a"] == [[1, 2, 3]]


def test_a_batch_that_does_not_fill_is_asked_when_the_wait_is_over() -> None:
    run, told = Doubling(), Told()
    piece = work(1)
    batcher(run, told, max_wait_us=1_000, max_batch=3).submit("a", piece)
    told.has(piece)
    assert answers(piece) == [2]


def test_closing_waits_for_no_batch_to_fill() -> None:
    run, told = Doubling(), Told()
    batches = batcher(run, told, max_wait_us=HOUR_US, max_batch=3)
    piece = work(1)
    batches.submit("a", piece)
    assert batches.close(PATIENCE_S)
    assert answers(piece) == [2]
