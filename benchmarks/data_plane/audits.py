"""Audits: what a server answered in a round is in its database, each once, and little besides.

What remains open is one request a connection a shot: wrk goes away while they are under way, so whether they were
answered it cannot say. So many too many are taken for them, and so many lost ones could hide behind them at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.data_plane.errors import RunFailed

# Long beside one request, and so beside what is under way when a load ends.
PAUSE_S = 0.3


@dataclass
class Count:
    """What was answered, and how many more may have been under way when a load ended."""

    answered: int = 0
    under_way: int = 0

    def add(self, answered: int, under_way: int = 0) -> None:
        """A load's, or what was asked and checked one by one."""
        self.answered += answered
        self.under_way += under_way

    def check(self, written: int, who: str) -> None:
        """Raises RunFailed when `written` rows are too few for what was answered, or too many for what was asked."""
        if not self.answered <= written <= self.answered + self.under_way:
            raise RunFailed(
                f"{who} answered {self.answered} requests, had at most {self.under_way} under way at the end of a "
                f"load, and wrote {written} rows."
            )


def settled(rows: Callable[[], int], sleep: Callable[[float], None] = time.sleep) -> int:
    """`rows()`, once nothing that was under way is added any more."""
    before = rows()
    while True:
        sleep(PAUSE_S)
        now = rows()
        if now == before:
            return now
        before = now
