"""Heads: the latest batch of each writer, signed once a day, so that no chain can be cut off or written anew.

A document names the writers that have committed since the one before, the latest deed, and the sha256 of the document
before.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from ml_pipeline.apps.predictions.integrity import deeds, seals
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.journal import GENESIS
from ml_pipeline.apps.predictions.models import Deed, JournalBatch, SignedHeads

# Ids are given out before they are committed: what a document has not seen is at most so far behind what it has.
OVERLAP_IDS = 100_000


def sign(seal: Seal, now: datetime, turn: AbstractContextManager[None]) -> bool:
    """Whether the latest UTC day that has ended is signed now, which needs no further look until the next has ended.

    It is not where none of the batches and deeds that no document has seen are of that day or before. In `turn` this
    process writes.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = (today - timedelta(days=1)).date()
    latest = SignedHeads.objects.order_by("-day").first()
    if latest is not None and latest.day >= day:
        return True
    # Where it is not the server's any more, all is covered anew.
    document = None if latest is None else seal.opened(latest.document, latest.signature)
    seen = 0 if document is None else int(document["until_id"])
    until = JournalBatch.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    deed = deeds.latest()
    if not _has_news(today, seen, 0 if document is None else document.get("deed", [0])[0]):
        return False
    sealed = seal.seal(
        {
            "kind": "heads",
            "day": day.isoformat(),
            "previous": GENESIS if latest is None else seals.sha256(latest.document),
            # Of some batches none may be left.
            "until_id": max(until, seen),
            "heads": _heads(seen - OVERLAP_IDS),
            "deed": list(deed),
            "signed_at": now.astimezone(UTC).isoformat(),
        }
    )
    # Of the serving processes one is first; the others find the day taken.
    try:
        with turn, transaction.atomic():
            SignedHeads.objects.create(day=day, **sealed._asdict())
    except IntegrityError:
        pass
    return True


def _has_news(today: datetime, seen: int, seen_deed: int) -> bool:
    batch = JournalBatch.objects.filter(pk__gt=seen).order_by("pk").first()
    deed = Deed.objects.filter(number__gt=seen_deed).order_by("number").first()
    return any(one is not None and one.created_at < today for one in (batch, deed))


def _heads(after_id: int) -> list[list[Any]]:
    latest = JournalBatch.objects.filter(pk__gt=after_id).values("writer").annotate(last=Max("seq"))
    heads = []
    for one in latest.values_list("writer", "last").order_by("writer"):
        sha256 = JournalBatch.objects.filter(writer=one[0], seq=one[1]).values_list("sha256", flat=True).first()
        # It may have been pruned just now.
        if sha256 is not None:
            heads.append([one[0].hex, one[1], sha256])
    return heads
