"""Claims: exactly which rows of an append-only table were taken, although they are committed out of order.

Ids rise, but a row with a smaller id may be committed after one with a larger. So what was taken is a set: all ids up
to `top` but those in its holes, which are looked at again each time. A hole is forgotten a day after it was first seen,
by the database's clock: no transaction of ours lives so long, and whoever drew its ids has given them up. Where there
are MOST_HOLES, those seen an hour ago are forgotten; where all are younger, no id is taken that would make another,
until there is room.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from django.db import transaction
from django.db.models import Model, Q

from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.monitoring.models import Claim

BATCHES, FEEDBACK = "batches", "feedback"
MOST_HOLES = 1_000
FORGOTTEN_S, FORGOTTEN_AT_NEED_S = 86_400, 3_600
# Holes of one query; SQLite takes no deeper expressions than a thousand.
_HOLES_A_QUERY = 100


class Raced(Exception):
    """Somebody else took rows at the same time."""


class Hole(NamedTuple):
    """Ids that were not there; `seen_s` is when that was first seen, in seconds since 1970."""

    first: int
    last: int
    seen_s: int


class Taken(NamedTuple):
    """A set of ids: all up to `top` but the holes, which are in order and apart."""

    top: int = 0
    holes: tuple[Hole, ...] = ()

    def __contains__(self, one: object) -> bool:
        return (
            isinstance(one, int) and one <= self.top and not any(hole.first <= one <= hole.last for hole in self.holes)
        )

    def takable(self, ids: Sequence[int]) -> Sequence[int]:
        """Those of the rising `ids` that can be taken now: the first ones, as many as do not leave too many holes."""
        most = max(MOST_HOLES, len(self.holes))
        while ids and len(self.taking(ids, 0).holes) > most:
            ids = ids[: len(ids) // 2]
        return ids

    def taking(self, ids: Iterable[int], now_s: int) -> Taken:
        """This set with the rising `ids`, none of which is in it."""
        remaining = iter(ids)
        upcoming = next(remaining, None)
        holes: list[Hole] = []
        for hole in self.holes:
            first = hole.first
            while upcoming is not None and upcoming <= hole.last:
                if first < upcoming:
                    holes.append(Hole(first, upcoming - 1, hole.seen_s))
                first, upcoming = upcoming + 1, next(remaining, None)
            if first <= hole.last:
                holes.append(hole._replace(first=first))
        top = self.top
        while upcoming is not None:
            if upcoming > top + 1:
                holes.append(Hole(top + 1, upcoming - 1, now_s))
            top, upcoming = upcoming, next(remaining, None)
        return Taken(top, tuple(holes))

    def remembered(self, now_s: int) -> Taken:
        """This set with what is forgotten by now in it."""
        holes = [hole for hole in self.holes if now_s - hole.seen_s <= FORGOTTEN_S]
        if len(holes) >= MOST_HOLES:
            holes = [hole for hole in holes if now_s - hole.seen_s <= FORGOTTEN_AT_NEED_S]
        return Taken(self.top, tuple(holes))


class Standing(NamedTuple):
    """What was taken of a source as of a version of its claim, and the time by the database's clock."""

    source: str
    version: int
    taken: Taken
    now_s: int


def taken(source: str) -> Taken:
    """What was taken of `source` until now, as it is stored; nothing where nothing was yet."""
    row = Claim.objects.filter(source=source).first()
    return Taken() if row is None else _stored(row)


def standing(source: str) -> Standing:
    """What was taken of `source` until now."""
    rows = Claim.objects.filter(source=source).annotate(now=DatabaseNow())
    row = rows.first()
    if row is None:
        # Two who begin at once both find it then.
        Claim.objects.bulk_create([Claim(source=source, version=0, top=0, holes="[]")], ignore_conflicts=True)
        row = rows.get()
    now_s = int(row.now.timestamp())
    return Standing(source, row.version, _stored(row).remembered(now_s), now_s)


def take(before: Standing, ids: Sequence[int]) -> Standing:
    """`ids` (rising) are taken too. Belongs in the transaction that adds them. Raises Raced, and then nothing is."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("take() belongs in the transaction that adds what is taken")
    taken, version = before.taken.taking(ids, before.now_s), before.version + 1
    changes = {"version": version, "top": taken.top, "holes": json.dumps(taken.holes, separators=(",", ":"))}
    if not Claim.objects.filter(source=before.source, version=before.version).update(**changes):
        raise Raced(before.source)
    return before._replace(version=version, taken=taken)


def waiting(model: type[Model], taken: Taken, most: int) -> list[int]:
    """Ids of rows that are there and not taken, rising: those in holes, then those beyond, so many in all at most."""
    rows = model._default_manager.order_by("pk").values_list("pk", flat=True)
    found: list[int] = []
    for part in _parts(taken.holes):
        is_within = Q()
        for hole in part:
            is_within |= Q(pk__gte=hole.first, pk__lte=hole.last)
        found += rows.filter(is_within)[: most - len(found)]
        if len(found) >= most:
            return found
    return found + list(rows.filter(pk__gt=taken.top)[: most - len(found)])


def _stored(row: Claim) -> Taken:
    return Taken(row.top, tuple(Hole(*one) for one in json.loads(row.holes)))


def _parts(holes: Sequence[Hole]) -> Iterator[list[Hole]]:
    remaining = iter(holes)
    while part := list(islice(remaining, _HOLES_A_QUERY)):
        yield part
