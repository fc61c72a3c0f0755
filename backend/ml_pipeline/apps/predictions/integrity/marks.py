"""Marks: a set of ids that takes a bit each where they lie close together, as those of a table do."""

from __future__ import annotations

from collections.abc import Iterator

_IDS = 1 << 16


class Marks:
    """A set of integers; ten million that follow each other take 1.25 MB."""

    def __init__(self) -> None:
        self._parts: dict[int, bytearray] = {}
        self._count = 0

    def add(self, one: int) -> None:
        """`one` is in it."""
        part = self._parts.setdefault(one // _IDS, bytearray(_IDS // 8))
        place, bit = divmod(one % _IDS, 8)
        if not part[place] >> bit & 1:
            part[place] |= 1 << bit
            self._count += 1

    def discard(self, one: int) -> None:
        """`one` is not in it."""
        if one in self:
            place, bit = divmod(one % _IDS, 8)
            self._parts[one // _IDS][place] &= ~(1 << bit)
            self._count -= 1

    def __contains__(self, one: int) -> bool:
        part = self._parts.get(one // _IDS)
        place, bit = divmod(one % _IDS, 8)
        return part is not None and bool(part[place] >> bit & 1)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for number, part in self._parts.items():
            for place, byte in enumerate(part):
                if byte:
                    yield from (number * _IDS + place * 8 + bit for bit in range(8) if byte >> bit & 1)
