"""Deeds: what operators did to the log, in signed documents that are numbered and chained.

A deed that takes something away is a tombstone: `prune` and `erase`. `archive` says what lies in files, and `pruned`
that nothing is left of what a prune named. A deed names the one it comes after, and its number can be had once: of two
commands at the same time one finds that the other was first, and nothing of what it was about to do has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.journal import GENESIS
from ml_pipeline.apps.predictions.models import Deed
from ml_pipeline.errors import Conflict

ARCHIVE, PRUNE, PRUNED, ERASE = "archive", "prune", "pruned", "erase"


class Head(NamedTuple):
    """The deed that the next comes after; of none, the number 0."""

    number: int = 0
    sha256: str = GENESIS


class Told(NamedTuple):
    """A stored deed. `content` is None where no trusted key signed it, or where it is not in its place."""

    number: int
    sha256: str
    previous: str | None
    content: dict[str, Any] | None


class Span(NamedTuple):
    """Batches of one writer that follow each other, with so many rows in all; `previous` is the hash before them."""

    writer: str
    first: int
    last: int
    rows: int
    previous: str
    sha256: str


def latest() -> Head:
    """The last one that is stored."""
    stored = Deed.objects.order_by("-number").first()
    return Head() if stored is None else Head(stored.number, seals.sha256(stored.document))


def append(seal: Seal, after: Head, kind: str, actor: str, content: Mapping[str, Any]) -> Head:
    """The new deed, which `actor` does now. Must be called in the transaction that it tells of.

    Raises Conflict where `after` is not the last one any more.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("append() belongs in the transaction that it tells of")
    now = datetime.now(UTC)
    document = {
        **content,
        "kind": kind,
        "number": after.number + 1,
        "previous": after.sha256,
        "actor": actor,
        "at": now.isoformat(),
    }
    sealed = seal.seal(document)
    try:
        Deed.objects.create(number=after.number + 1, kind=kind, created_at=now, **sealed._asdict())
    except IntegrityError:
        raise Conflict("Somebody else archived, pruned or erased at the same time. Run it again.") from None
    return Head(after.number + 1, seals.sha256(sealed.document))


def stored(seal: Seal) -> list[Told]:
    """All that are stored, in the order of their numbers."""
    told = []
    for one in Deed.objects.order_by("number").iterator(100):
        content = seal.opened(one.document, one.signature)
        if content is not None and (content.get("kind"), content.get("number")) != (one.kind, one.number):
            content = None
        previous = None if content is None else str(content["previous"])
        told.append(Told(one.number, seals.sha256(one.document), previous, content))
    return told
