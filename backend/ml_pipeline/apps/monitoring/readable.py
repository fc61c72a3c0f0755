"""Readable: rows are measured together; where some are nothing that was ever logged, the others are all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

R = TypeVar("R")
T = TypeVar("T")


def parts(measure: Callable[[Sequence[R]], T], rows: Sequence[R]) -> tuple[list[T], list[R]]:
    """What `measure` makes of `rows`, of all at once if it can, and the rows of which it makes nothing."""
    try:
        return [measure(rows)], []
    except (TypeError, ValueError, OverflowError):
        if len(rows) == 1:
            return [], list(rows)
    middle = len(rows) // 2
    halves = [parts(measure, half) for half in (rows[:middle], rows[middle:])]
    return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
