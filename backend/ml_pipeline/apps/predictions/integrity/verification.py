"""Verification: everything that the log says about itself, held against what is stored. It reads and writes nothing.

The server may go on: what is committed after the batches were counted is left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ml_pipeline.apps.predictions.integrity import chains, deeds, ledger, seals
from ml_pipeline.apps.predictions.integrity.chains import Row, Stored, Whole
from ml_pipeline.apps.predictions.integrity.faults import Fault, Faults
from ml_pipeline.apps.predictions.integrity.ledger import Ledger
from ml_pipeline.apps.predictions.integrity.marks import Marks
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.journal import GENESIS
from ml_pipeline.apps.predictions.models import SignedHeads

# So often the log is looked through once more, where deeds were done meanwhile.
MOST_LOOKS = 5


class _Head(NamedTuple):
    sha256: str
    day: str


class Verification:
    """One look at the whole log; `run` once, then read what was found."""

    def __init__(self, seal: Seal) -> None:
        self.seal = seal
        self._begin()

    def _begin(self) -> None:
        self.faults = Faults()
        self.requests = self.batches = self.writers = self.unsigned = self.days = 0
        self.latest: dict[str, str] | None = None
        self.ledger = Ledger(())
        # The hashes that were signed, by writer and number.
        self.signed: dict[str, dict[int, str]] = {}
        # By writer and number; what is met is taken out.
        self._signed: dict[str, dict[int, _Head]] = {}
        self._known, self._awaited = Marks(), Marks()
        # Batches whose prune is not finished: some of their rows may be there.
        self._going = Marks()
        self._suspects: set[int] = set()

    def run(self) -> None:
        """The log is looked through, again where somebody has pruned or erased meanwhile and it seems not to hold."""
        for _ in range(MOST_LOOKS):
            self._begin()
            self._look()
            if not self.faults.count or deeds.latest() == self.ledger.latest:
                return

    def _look(self) -> None:
        self.ledger = ledger.read(self.seal)
        for fault in self.ledger.faults:
            self.faults.add(fault)
        self._read_heads()
        self._walk()
        for one in chains.assembled(self._awaited, self._judge_strangers, self.ledger.begins):
            self._judge(one)
            if len(self._suspects) >= chains.MOST_SOUGHT:
                self._settle()
        self._settle()
        for one in chains.whole(self._awaited, self.ledger.begins):
            if self.faults.are_enough:
                break
            self._awaited.discard(one.batch.pk)
            self._judge(one, is_last=True)
        self.faults.count += len(self._awaited)

    def document(self) -> dict[str, Any]:
        """What was found, as JSON."""
        return {
            "holds": not self.faults.count,
            "requests": self.requests,
            "batches": self.batches,
            "writers": self.writers,
            "signed_days": self.days,
            "latest_signed": self.latest,
            "unsigned_batches": self.unsigned,
            "deeds": self.ledger.latest.number,
            "latest_deed": self.ledger.latest.sha256 if self.ledger.latest.number else None,
            "pruned_requests": self.ledger.pruned_rows,
            "erased_requests": self.ledger.erased_requests,
            "unfinished_prunes": list(self.ledger.unfinished),
            "public_key": self.seal.public_key,
            **self.faults.document(),
        }

    def _read_heads(self) -> None:
        previous = GENESIS
        for stored in SignedHeads.objects.order_by("day").iterator(100):
            self.days += 1
            document = self.seal.opened(stored.document, stored.signature)
            day = stored.day.isoformat()
            if document is None or document.get("kind") != "heads" or document["day"] != day:
                self._fault("signature", f"the heads of {day} are not as a trusted key signed them")
                document = None
            elif document["previous"] != previous:
                self._fault("heads", f"the signed heads before those of {day} are missing or others")
            for writer, seq, sha256 in document["heads"] if document else ():
                self._signed.setdefault(writer, {})[seq] = _Head(sha256, day)
                self.signed.setdefault(writer, {})[seq] = sha256
            self._compare_deed(day, (document or {}).get("deed"))
            previous = seals.sha256(stored.document)
            self.latest = {"day": day, "sha256": previous}

    def _compare_deed(self, day: str, named: list[Any] | None) -> None:
        if named is not None and self.ledger.sha256s.get(named[0]) != named[1]:
            self._fault("deeds", f"deed {named[0]}, which was signed with the heads of {day}, is missing or another")

    def _walk(self) -> None:
        last: Stored | None = None
        signed: dict[int, _Head] = {}
        covered = 0
        for batch in chains.batches(self.ledger.begins):
            self._known.add(batch.pk)
            pruned = self.ledger.pruned_through.get(batch.writer, 0)
            if batch.seq <= pruned:
                self._meet_pruned(batch)
                continue
            if last is None or batch.writer != last.writer:
                self.writers += 1
                last, signed = None, self._signed.get(batch.writer, {})
                covered = max(signed, default=0)
            self._compare(batch, pruned if last is None else last.seq, signed)
            self.batches += 1
            self.unsigned += batch.seq > covered
            self._awaited.add(batch.pk)
            last = batch
        self._miss()

    def _meet_pruned(self, batch: Stored) -> None:
        if self.ledger.going.holds(batch.writer, batch.seq):
            self._going.add(batch.pk)
        else:
            self._fault("added", "the batch was pruned and is there again", batch.writer, batch.seq)

    def _miss(self) -> None:
        # What was signed and not met. Of what is pruned only the last batch of each prune is known by its hash.
        for writer, heads in self._signed.items():
            for seq, head in heads.items():
                if seq <= self.ledger.pruned_through.get(writer, 0):
                    if self.ledger.begins.get((writer, seq), head.sha256) != head.sha256:
                        self._fault("rewritten", f"its hash is not the one signed on {head.day}", writer, seq)
                    continue
                self._fault("removed", f"the batch was signed on {head.day} and is missing", writer, seq)

    def _compare(self, batch: Stored, before: int, signed: dict[int, _Head]) -> None:
        head = signed.pop(batch.seq, None)
        if head is not None and head.sha256 != batch.sha256:
            self._fault("rewritten", f"its hash is not the one signed on {head.day}", batch.writer, batch.seq)
        if batch.seq != before + 1:
            gap = f"{before + 1} to {batch.seq - 1}" if batch.seq > before + 2 else f"{before + 1}"
            self._fault("removed", f"{gap} before it is missing", batch.writer, batch.seq)

    def _judge(self, one: Whole, *, is_last: bool = False) -> None:
        fault = self.ledger.fault(one)
        if fault is None:
            self.requests += len(one.rows)
        elif is_last or self.faults.are_enough:
            self.faults.add(fault)
        else:
            self._suspects.add(one.batch.pk)

    def _settle(self) -> None:
        # Once more, with all rows that there are: some may have been read before they were changed for a good reason.
        for one in chains.whole(self._suspects, self.ledger.begins):
            self._judge(one, is_last=True)
        self._suspects.clear()

    def _judge_strangers(self, by_batch: dict[int, list[Row]]) -> None:
        # Rows of no batch that is awaited: of one that is complete, of none, or of one that is newer than our walk.
        unknown = [pk for pk in by_batch if pk not in self._known]
        newer = chains.found(unknown, self.ledger.begins)
        for pk, rows in by_batch.items():
            if pk in newer or pk in self._going:
                continue
            if pk in self._known:
                self._suspects.add(pk)
                continue
            for row in rows:
                self.faults.add(Fault("added", "a row belongs to no batch of the log", request_id=row[0]))

    def _fault(self, kind: str, what: str, writer: str | None = None, seq: int | None = None) -> None:
        self.faults.add(Fault(kind, what, writer, seq))
