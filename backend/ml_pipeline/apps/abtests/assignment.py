"""Assignment: which arm a unit belongs to. The same in every process, at every time, and known before any answer."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

DIGEST_CHARACTERS = 32


class Assignment:
    """Units to arms, by sha256 of the test's salt and the unit, in proportion to the arms' weights."""

    def __init__(self, salt: str, weights: Sequence[float]) -> None:
        self._begun = hashlib.sha256(bytes.fromhex(salt))
        total = sum(weights)
        # Where each arm but the last ends, in [0, 2**64).
        self._ends = [round(end / total * 2**64) for end in accumulate(weights)][:-1]

    def arm(self, unit: str) -> tuple[int, str]:
        """The arm of `unit`, and the unit's digest: 32 hexadecimal digits that do not tell who it is."""
        hashed = self._begun.copy()
        hashed.update(unit.encode("utf-8", "surrogatepass"))
        digest = hashed.hexdigest()
        return bisect_right(self._ends, int(digest[:16], 16)), digest[-DIGEST_CHARACTERS:]
