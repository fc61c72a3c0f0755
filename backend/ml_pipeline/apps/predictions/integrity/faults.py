"""Faults: what is wrong with the log, named as far as it can be known."""

from __future__ import annotations

from typing import Any, NamedTuple

from ml_pipeline.apps.predictions.integrity.chains import POSITION, Whole

# So many are named; the others are counted.
MOST_NAMED = 100


class Fault(NamedTuple):
    """One thing that is wrong. `writer` and `seq` say where in the log, None where it is in no batch."""

    kind: str
    what: str
    writer: str | None = None
    seq: int | None = None
    request_id: str | None = None

    @property
    def sentence(self) -> str:
        """Where it is and what is wrong there."""
        place = f"batch {self.seq} of writer {self.writer}: " if self.writer else ""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{place}{self.what}{request}"


class Faults:
    """Some faults by name, and the number of all."""

    def __init__(self) -> None:
        self.named: list[Fault] = []
        self.count = 0

    def add(self, fault: Fault) -> None:
        """`fault` was found."""
        self.count += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(fault)

    @property
    def are_enough(self) -> bool:
        """Whether no more are named."""
        return len(self.named) >= MOST_NAMED

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"faults": self.count, "named": [fault._asdict() for fault in self.named]}


def of(one: Whole, sha256: str) -> Fault | None:
    """What is wrong with a batch whose rows should have the hash `sha256`; None where nothing is."""
    batch, rows = one
    place = (batch.writer, batch.seq)
    # The first place whose row is not there.
    gap = next((index for index, row in enumerate(rows) if row[POSITION] != index), len(rows))
    if len(rows) < batch.rows:
        missing = f"{batch.rows - len(rows)} of its {batch.rows} rows are missing, the first at position {gap}"
        return Fault("removed", missing, *place)
    if len(rows) > batch.rows or gap < len(rows):
        which = rows[min(gap, len(rows) - 1)]
        return Fault("added", f"it has {len(rows)} rows, or their positions, instead of {batch.rows}", *place, which[0])
    if batch.previous is None:
        return Fault("unchecked", "the batch before it is missing, so its rows cannot be checked", *place)
    if one.sha256 != sha256:
        known = rows[0][0] if len(rows) == 1 else None
        return Fault("edited", "its rows, or the batch before it, are not those that were logged", *place, known)
    return None
