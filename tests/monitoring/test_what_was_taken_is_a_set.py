"""What was taken of a table is an exact set, whatever the order in which its rows were committed."""

from __future__ import annotations

import random

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.apps.monitoring import claims
from ml_pipeline.apps.monitoring.claims import FORGOTTEN_AT_NEED_S, FORGOTTEN_S, MOST_HOLES, Hole, Raced, Taken
from ml_pipeline.apps.monitoring.models import Claim
from ml_pipeline.apps.predictions.models import JournalBatch


@given(st.lists(st.sets(st.integers(1, 60)), max_size=8))
def test_it_has_what_was_taken_and_nothing_else(steps: list[set[int]]) -> None:
    taken, everything = Taken(), set[int]()
    for step in steps:
        fresh = sorted(step - everything)
        taken = taken.taking(fresh, 0)
        everything |= step
    assert {one for one in range(1, 70) if one in taken} == everything
    # The holes are in order, apart and below the top, which was taken.
    ends = [end for hole in taken.holes for end in (hole.first, hole.last)]
    assert ends == sorted(ends)
    assert all(one.last + 1 < other.first for one, other in zip(taken.holes, taken.holes[1:], strict=False))
    assert taken.top == max(everything, default=0)


def test_a_hole_keeps_the_time_when_it_was_first_seen() -> None:
    taken = Taken().taking([10], 100).taking([5, 12], 200)
    assert taken == Taken(12, (Hole(1, 4, 100), Hole(6, 9, 100), Hole(11, 11, 200)))
    assert taken.remembered(100 + FORGOTTEN_S) == taken
    assert taken.remembered(101 + FORGOTTEN_S) == Taken(12, (Hole(11, 11, 200),))


def test_where_there_are_too_many_holes_the_younger_are_kept_and_no_more_are_made() -> None:
    ids = range(2, 2 * MOST_HOLES + 200, 2)
    taken = Taken().taking(Taken().takable(ids), 100)
    assert MOST_HOLES / 2 <= len(taken.holes) <= MOST_HOLES
    taken = taken.taking(range(taken.top + 2, 2 * MOST_HOLES + 2, 2), 100)
    assert len(taken.holes) == MOST_HOLES
    # What makes none is taken, and what closes one; what would make another waits, until they are old enough.
    assert list(taken.takable([1, taken.top + 1])) == [1, taken.top + 1]
    assert not taken.takable([taken.top + 2])
    assert taken.remembered(100 + FORGOTTEN_AT_NEED_S) == taken
    assert taken.remembered(101 + FORGOTTEN_AT_NEED_S) == Taken(taken.top)


@pytest.mark.django_db
def test_rows_wait_until_they_are_taken_in_any_order() -> None:
    draw = random.Random(5)
    ids = draw.sample(range(1, 5_000), 1_200)
    seen: list[int] = []
    for begin in range(0, len(ids), 150):
        part = ids[begin : begin + 150]
        JournalBatch.objects.bulk_create(
            JournalBatch(pk=one, seq=one, writer="0" * 32, rows=0, sha256="", created_at="2026-03-04T12:00Z")
            for one in part
        )
        before = claims.standing(claims.BATCHES)
        waiting = claims.waiting(JournalBatch, before.taken, 10_000)
        assert waiting == sorted(part)
        assert claims.waiting(JournalBatch, before.taken, 70) == waiting[:70]
        with transaction.atomic():
            after = claims.take(before, waiting)
        seen += waiting
        assert claims.standing(claims.BATCHES).taken == after.taken
    assert sorted(seen) == sorted(ids)
    assert claims.waiting(JournalBatch, after.taken, 10_000) == []


@pytest.mark.django_db
def test_of_two_who_take_at_once_one_does() -> None:
    before = claims.standing(claims.FEEDBACK)
    with transaction.atomic():
        claims.take(before, [1, 2])
    with pytest.raises(Raced), transaction.atomic():
        claims.take(before, [1, 2, 3])
    assert claims.standing(claims.FEEDBACK).taken == Taken(2)
    assert Claim.objects.get().version == 1
