"""A server that can be asked in several ways is measured in the one that is fastest once all are warm."""

from __future__ import annotations

from benchmarks.data_plane import competitors


def test_the_first_time_does_not_count_and_the_others_are_taken_in_turns() -> None:
    # Of a machine that becomes slower and slower; the first way is slow until it is warm.
    rates = iter([10.0, 900.0, 1_000.0, 600.0, 500.0, 300.0])
    asked: list[str] = []

    def rate(way: str) -> float:
        asked.append(way)
        return next(rates)

    assert competitors.tried(["plain", "in-thread"], rate) == {"plain": 750.0, "in-thread": 450.0}
    assert asked == ["plain", "in-thread"] * 3
