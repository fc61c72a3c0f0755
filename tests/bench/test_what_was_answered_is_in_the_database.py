"""A benchmark's round is audited: rows against answers, with room for what was under way and for nothing else."""

from __future__ import annotations

import pytest

from benchmarks.data_plane.audits import Count, settled
from benchmarks.data_plane.errors import RunFailed


def counted() -> Count:
    """Two loads of 32 connections, between which 1,000 were checked one by one."""
    count = Count()
    count.add(5_000, 32)
    count.add(1_000)
    count.add(7_000, 32)
    return count


@pytest.mark.parametrize("written", [13_000, 13_001, 13_064])
def test_all_that_was_answered_and_what_was_under_way_may_be_there(written: int) -> None:
    counted().check(written, "a server")


# The second: all that was checked is there, and as much of the loads is not.
@pytest.mark.parametrize("written", [0, 12_000, 12_999, 13_065, 26_000])
def test_a_row_that_is_missing_and_one_that_nobody_asked_for_fail_the_run(written: int) -> None:
    with pytest.raises(RunFailed, match=f"a server answered 13000 .* 64 .* wrote {written} rows"):
        counted().check(written, "a server")


def test_what_is_under_way_is_waited_for_before_rows_are_counted() -> None:
    looks = iter([3, 7, 9, 9, 12])
    pauses: list[float] = []
    assert settled(lambda: next(looks), pauses.append) == 9
    assert len(pauses) == 3
