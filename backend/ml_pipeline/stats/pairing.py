"""Pairing: outcomes of two arms become differences, by the order in which they arrive and by nothing else.

Only arms that run at the same time are compared, the first outcome of one with the first of the other and so on: what
the day does to both cancels out, and nobody chooses who meets whom.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ml_pipeline.stats.bounded import Differences

CHAMPION, CHALLENGER = 0, 1
# Of an arm that is ahead, as many outcomes wait for the other; then the oldest are left out, whatever they are.
LONGEST_QUEUE = 10_000
# The rarer arm gives a block no more outcomes than this; shares are rounded to such blocks.
_FINEST = 10


def block_sizes(champion: float, challenger: float) -> tuple[int, int]:
    """How many outcomes of either arm make one difference, nearest to their shares: (9, 1) for 0.9 and 0.1.

    The rarer arm gives 10 at most: 0.62 and 0.38 make blocks of (13, 8). ValueError for a share that is not above 0.
    """
    if champion <= 0 or challenger <= 0:
        raise ValueError("a share is above 0")
    if max(champion, challenger) / min(champion, challenger) > LONGEST_QUEUE:
        raise ValueError(f"of two arms neither has more than {LONGEST_QUEUE:,} times the other's share")
    ratio = Fraction(max(champion, challenger) / min(champion, challenger)).limit_denominator(_FINEST)
    more, fewer = ratio.numerator, ratio.denominator
    return (more, fewer) if champion >= challenger else (fewer, more)


class Stream:
    """Outcomes of a champion and a challenger, those that wait for each other, and the differences they became."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        self.differences = Differences()
        self._sizes = sizes
        self._waiting: tuple[deque[float], deque[float]] = (deque(maxlen=LONGEST_QUEUE), deque(maxlen=LONGEST_QUEUE))

    def add(self, side: int, outcome: float) -> float | None:
        """The difference that this outcome of `CHAMPION` or `CHALLENGER` completes; None if it has to wait.

        Outcomes are within [0, 1]. It is the mean of the challenger's block less that of the champion's.
        """
        self._waiting[side].append(outcome)
        if any(len(queue) < size for queue, size in zip(self._waiting, self._sizes, strict=True)):
            return None
        champion, challenger = (
            sum(queue.popleft() for _ in range(size)) / size
            for queue, size in zip(self._waiting, self._sizes, strict=True)
        )
        difference = challenger - champion
        self.differences.add(difference)
        return difference

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, and `restore` goes on from."""
        return {"differences": self.differences.state(), "waiting": [list(queue) for queue in self._waiting]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """This stream, which had nothing yet, goes on from there."""
        self.differences = Differences.restored(state["differences"])
        for queue, outcomes in zip(self._waiting, state["waiting"], strict=True):
            queue.extend(outcomes)
