"""Inspection: archives held against the deeds, the chains recomputed from the files alone, and the signed heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_pipeline.apps.predictions.integrity.faults import Fault, Faults
from ml_pipeline.apps.predictions.integrity.ledger import Archive, Ledger
from ml_pipeline.apps.predictions.retention import folders, parquet
from ml_pipeline.apps.predictions.retention.parquet import Kept


class Inspection:
    """One look at all archives; `run` once. What is wrong is added to `faults`."""

    def __init__(self, ledger: Ledger, heads: dict[str, dict[int, str]], faults: Faults) -> None:
        """`heads` are the hashes that were signed, by writer and number."""
        self._ledger, self._heads, self._faults = ledger, heads, faults
        self.archives = self.requests = self.feedback = 0
        # Folders that still have what was erased: an erasure that was broken off, or could not reach them.
        self.unerased: list[str] = []
        self.strays: list[str] = []

    def run(self) -> None:
        """All archives are read."""
        self.strays = folders.strays(self._ledger)
        for one in self._ledger.archives.values():
            self.archives += 1
            if not folders.is_intact(one):
                what = f"files are missing, or not as they were archived, in {one.folder} (deed {one.number})"
                self._faults.add(Fault("archive", what))
                continue
            self._read(one)

    def document(self) -> dict[str, Any]:
        """What was found, as JSON."""
        return {
            "archives": self.archives,
            "requests": self.requests,
            "feedback": self.feedback,
            "unerased": self.unerased,
            "unrecorded": self.strays,
        }

    def _read(self, archive: Archive) -> None:
        for fault in self._wrong(archive):
            self._faults.add(fault)
        before = self.requests
        is_erased = True
        for one in parquet.batches(archive.folder / folders.REQUESTS):
            expected, is_latest = self._expected(one, archive.number)
            is_erased &= is_latest
            if one.now != expected:
                what = f"its rows in {archive.folder} are not those that were logged"
                self._faults.add(Fault("edited", what, one.writer, one.seq))
            self.requests += len(one.entries)
        if self.requests - before != sum(span.rows for span in archive.spans):
            self._faults.add(Fault("archive", f"{archive.folder} has another number of requests than deed says"))
        if not is_erased:
            self.unerased.append(str(archive.folder))
        self.feedback += sum(1 for _ in parquet.rows(archive.folder / folders.FEEDBACK, "id"))

    def _expected(self, one: Kept, number: int) -> tuple[str, bool]:
        # The hash of the rows when the archive was made, and whether nothing was erased since.
        erasures = self._ledger.erasures.get((one.writer, one.seq), [])
        earlier = [erasure.now for erasure in erasures if erasure.number < number]
        return (earlier[-1] if earlier else one.sha256), len(earlier) == len(erasures)

    def _wrong(self, archive: Archive) -> Iterator[Fault]:
        # The batches are those of the deed's spans, and those that were signed are as they were signed.
        spans = iter(archive.spans)
        span = None
        for writer, seq, _, sha256 in parquet.rows(archive.folder / folders.BATCHES, "writer", "seq", "rows", "sha256"):
            if span is None or seq > span.last or writer != span.writer:
                span = next(spans, None)
            if span is None or (span.writer, seq == span.last) != (writer, sha256 == span.sha256):
                yield Fault("archive", f"it is not as deed {archive.number} says in {archive.folder}", writer, seq)
            if self._heads.get(writer, {}).get(seq, sha256) != sha256:
                yield Fault("rewritten", f"in {archive.folder} its hash is not the one signed", writer, seq)
