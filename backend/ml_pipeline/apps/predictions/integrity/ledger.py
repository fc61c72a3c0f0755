"""The ledger: what all deeds together say of the log: what is archived where, pruned, and erased."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ml_pipeline.apps.predictions.integrity import deeds, faults
from ml_pipeline.apps.predictions.integrity.chains import Begins, Stored, Whole
from ml_pipeline.apps.predictions.integrity.deeds import Head, Span, Told
from ml_pipeline.apps.predictions.integrity.faults import Fault
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.journal import GENESIS
from ml_pipeline.errors import Conflict


class File(NamedTuple):
    """A file of an archive."""

    name: str
    rows: int
    sha256: str


class Archive(NamedTuple):
    """Files in one folder. `number` and `sha256` are those of the deed; no row has an id over `until_id`."""

    number: int
    sha256: str
    before: str
    folder: Path
    files: list[File]
    spans: list[Span]
    until_id: str


class Prune(NamedTuple):
    """Batches that are gone, or going; no row of theirs has an id over `until_id`."""

    number: int
    spans: list[Span]
    until_id: str


class Erasure(NamedTuple):
    """What a batch became: its rows are hashed as `now`, where its stored hash is still `original`."""

    number: int
    rows: int
    original: str
    now: str


class Cover:
    """Which batches some spans hold."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._parts: dict[str, list[list[int]]] = {}
        for span in sorted(spans):
            parts = self._parts.setdefault(span.writer, [])
            if parts and span.first <= parts[-1][1] + 1:
                parts[-1][1] = max(parts[-1][1], span.last)
            else:
                parts.append([span.first, span.last])

    def holds(self, writer: str, seq: int) -> bool:
        """Whether the batch is among them."""
        parts = self._parts.get(writer, [])
        place = bisect_right(parts, seq, key=lambda part: part[0]) - 1
        return place >= 0 and seq <= parts[place][1]

    def holds_all(self, span: Span) -> bool:
        """Whether every batch of `span` is among them."""
        return any(first <= span.first and span.last <= last for first, last in self._parts.get(span.writer, []))

    def touches(self, spans: Iterable[Span]) -> bool:
        """Whether any batch of `spans` is among them."""
        return any(
            first <= span.last and span.first <= last
            for span in spans
            for first, last in self._parts.get(span.writer, [])
        )


class Ledger:
    """All deeds, read once. `faults` are those of the deeds themselves."""

    def __init__(self, told: Iterable[Told]) -> None:
        self.latest = Head()
        self.faults: list[Fault] = []
        self.sha256s = {0: GENESIS}
        self.archives: dict[int, Archive] = {}
        self.replaced: list[Archive] = []
        # By number; `unfinished` are those of them of which something may be left.
        self.prunes: dict[int, Prune] = {}
        self.unfinished: dict[int, Prune] = {}
        self.erasures: dict[tuple[str, int], list[Erasure]] = {}
        # By the keyed hash of a unit, the requests that were about it.
        self.erased: dict[str, set[str]] = {}
        # The hash of the last batch that is pruned, and how far each writer is.
        self.begins: Begins = {}
        self.pruned_through: dict[str, int] = {}
        for one in told:
            self._read(one)

    def _read(self, one: Told) -> None:
        number = one.number
        if number != self.latest.number + 1 or (one.content is not None and one.previous != self.latest.sha256):
            self.faults.append(Fault("deeds", f"what comes before deed {number} is missing, or another"))
        self.latest = Head(number, one.sha256)
        self.sha256s[number] = one.sha256
        if one.content is None:
            self.faults.append(Fault("signature", f"deed {number} is not as a trusted key signed it"))
            return
        reads = {
            deeds.ARCHIVE: self._archive,
            deeds.PRUNE: self._prune,
            deeds.PRUNED: self._pruned,
            deeds.ERASE: self._erase,
        }
        reads[one.content["kind"]](one, one.content)

    def _archive(self, one: Told, content: dict[str, Any]) -> None:
        for number in content["replaces"]:
            if number in self.archives:
                self.replaced.append(self.archives.pop(number))
        self.archives[one.number] = Archive(
            one.number,
            one.sha256,
            content["before"],
            Path(content["folder"]),
            [File(*file) for file in content["files"]],
            [Span(*span) for span in content["spans"]],
            content["until_id"],
        )

    def _prune(self, one: Told, content: dict[str, Any]) -> None:
        prune = Prune(one.number, [Span(*span) for span in content["spans"]], content["until_id"])
        self.prunes[one.number] = self.unfinished[one.number] = prune
        for span in prune.spans:
            self.begins[(span.writer, span.last)] = span.sha256
            self.pruned_through[span.writer] = max(span.last, self.pruned_through.get(span.writer, 0))

    def _pruned(self, one: Told, content: dict[str, Any]) -> None:
        self.unfinished.pop(content["prune"], None)

    def _erase(self, one: Told, content: dict[str, Any]) -> None:
        for writer, seq, rows, original, now in content["batches"]:
            erasure = Erasure(one.number, rows, original, now)
            self.erasures.setdefault((writer, seq), []).append(erasure)
        self.erased.setdefault(content["unit"], set()).update(content["requests"])

    @property
    def pruned_rows(self) -> int:
        """How many requests are pruned, or going."""
        return sum(span.rows for prune in self.prunes.values() for span in prune.spans)

    @property
    def erased_requests(self) -> int:
        """Of how many requests the unit and all that names it is erased."""
        return len(set().union(*self.erased.values()))

    def fault(self, one: Whole) -> Fault | None:
        """What is wrong with a batch and its rows as they are stored now; None where nothing is."""
        batch = one.batch
        erasures = self.erasures.get((batch.writer, batch.seq))
        if not erasures:
            return faults.of(one, batch.sha256)
        if (batch.sha256, batch.rows) != (erasures[-1].original, erasures[-1].rows):
            return Fault("rewritten", "it is not the batch in which something was erased", batch.writer, batch.seq)
        return faults.of(one, erasures[-1].now)

    @functools.cached_property
    def going(self) -> Cover:
        """The batches that a prune names which is not finished."""
        return Cover(span for prune in self.unfinished.values() for span in prune.spans)

    def demand_whole(self) -> None:
        """Raises Conflict where deeds are not as they were done: nothing can be built on them."""
        if self.faults:
            raise Conflict(f"The deeds do not hold, so nothing is done: {self.faults[0].sentence}. See `verify-log`.")


def read(seal: Seal) -> Ledger:
    """The ledger of now."""
    return Ledger(deeds.stored(seal))


def spans(batches: Iterable[Stored]) -> list[Span]:
    """The spans of `batches`, which come writer by writer in the order of their numbers."""
    found: list[Span] = []
    for one in batches:
        if found and (found[-1].writer, found[-1].last + 1) == (one.writer, one.seq):
            found[-1] = found[-1]._replace(last=one.seq, rows=found[-1].rows + one.rows, sha256=one.sha256)
        else:
            found.append(Span(one.writer, one.seq, one.seq, one.rows, one.previous or GENESIS, one.sha256))
    return found
