"""Replays: what was counted of a test, gone through again in its order; the rows are read page by page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_pipeline.apps.abtests.models import ABTest, Unit
from ml_pipeline.apps.abtests.tallies import Tally
from ml_pipeline.apps.abtests.terms import Terms

ROWS = 1_000


def replayed(
    test: ABTest, terms: Terms, arms: Sequence[Mapping[str, Any]], scores: Mapping[int, float] | None = None
) -> Tally:
    """The tally of all that was counted. `arms` are those of the certificate, which say when one was withdrawn;
    `scores` are others than those that were counted, by position.
    """
    replay = _Replay(test, terms, scores or {})
    left = [(one["withdrawal"], one["number"]) for one in arms if one["withdrawal"]]
    for withdrawal, number in sorted(left, key=lambda one: (one[0]["observations"], one[0]["units"])):
        replay.advance(withdrawal["units"], withdrawal["observations"])
        replay.tally.withdraw(number)
    replay.advance()
    return replay.tally


def pages(rows: Any, key: str) -> Iterator[list[Any]]:
    """`rows`, each ending with its `key`, by which they are ordered; never all of them in memory."""
    last = 0
    while page := list(rows.filter(**{f"{key}__gt": last})[:ROWS]):
        yield page
        last = page[-1][-1]


class _Replay:
    def __init__(self, test: ABTest, terms: Terms, scores: Mapping[int, float]) -> None:
        self.tally, self._scores = Tally(terms), scores
        counted = Unit.objects.filter(test=test)
        units = counted.order_by("id").values_list("digest", "arm", "is_failed", "latency_us", "id")
        observed = counted.filter(position__isnull=False).order_by("position")
        columns = ("digest", "arm", "request_id", "score", "position")
        self._units = itertools.chain.from_iterable(pages(units, "id"))
        self._observed = itertools.chain.from_iterable(pages(observed.values_list(*columns), "position"))

    def advance(self, units: int | None = None, observations: int | None = None) -> None:
        """The tally has come to so many units and observations; to all of them where nothing is said."""
        tally = self.tally
        some = self._units if units is None else itertools.islice(self._units, units - tally.units)
        for digest, arm, is_failed, latency_us, _ in some:
            tally.assign(digest, arm, is_failed=is_failed, latency_us=latency_us)
        more = observations if observations is None else observations - tally.observations
        for digest, arm, request_id, score, position in itertools.islice(self._observed, more):
            tally.advance(digest, arm, request_id, self._scores.get(position, score))
