"""Records: complete rows held as tuples, which is how the data plane carries them; as a sequence they are mappings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

Row: TypeAlias = Mapping[str, Any]
Record: TypeAlias = tuple[Any, ...]


class Records(Sequence[Row]):
    """Rows with a value for each of `names`, in that order, None where it is missing; `cells` has a tuple a row."""

    __slots__ = ("cells", "names")

    def __init__(self, names: tuple[str, ...], cells: Sequence[Record]) -> None:
        self.names = names
        self.cells = cells

    @classmethod
    def of(cls, rows: Sequence[Row], names: tuple[str, ...]) -> Records:
        """`rows`, each of which has all `names`, as records."""
        if isinstance(rows, Records):
            return rows
        return cls(names, [tuple(row[name] for name in names) for row in rows])

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """The rows of all `parts` (one at least, of the same names), in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(parts[0].names, [record for part in parts for record in part.cells])

    def at(self, positions: Sequence[int]) -> Records:
        """The rows at `positions`, which are different ones in rising order."""
        if len(positions) == len(self.cells):
            return self
        return Records(self.names, [self.cells[position] for position in positions])

    def columns(self) -> Iterable[tuple[Any, ...]]:
        """The values of each name in turn."""
        return zip(*self.cells, strict=True) if self.cells else ((),) * len(self.names)

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Records: ...

    def __getitem__(self, index: int | slice) -> Row | Records:
        if isinstance(index, slice):
            return Records(self.names, self.cells[index])
        return dict(zip(self.names, self.cells[index], strict=True))

    def __iter__(self) -> Iterator[Row]:
        return (dict(zip(self.names, record, strict=True)) for record in self.cells)
