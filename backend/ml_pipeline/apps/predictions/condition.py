"""The condition of a serving process: whether it can answer, what waits in it, and which revision it serves."""

from __future__ import annotations

from typing import Any, NamedTuple

from ml_pipeline.apps.ml.batching import MicroBatcher
from ml_pipeline.apps.predictions import journal
from ml_pipeline.apps.predictions.calls import Call
from ml_pipeline.apps.predictions.journal import Journal
from ml_pipeline.apps.predictions.keeper import SnapshotKeeper
from ml_pipeline.apps.predictions.routing import Route


class Load(NamedTuple):
    """What waits, in rows and seconds, and which revision of the registry the process knows and serves."""

    queue_rows: int
    longest_queue_rows: int
    commit_queue_rows: int
    commit_age_s: float
    known_revision: int
    served_revision: int


class Condition:
    """How the parts of a service are."""

    def __init__(self, keeper: SnapshotKeeper, batcher: MicroBatcher[Call], journal_: Journal) -> None:
        self._keeper, self._batcher, self._journal = keeper, batcher, journal_

    @property
    def queue_rows(self) -> int:
        """Rows that one algorithm's queue holds."""
        return self._batcher.queue_rows

    def load(self) -> Load:
        """What there is to do now."""
        return Load(
            self._batcher.rows,
            self._batcher.longest,
            self._journal.rows,
            self._journal.age_s,
            self._keeper.snapshot.revision,
            self._keeper.served_revision,
        )

    def readiness(self, *, is_draining: bool) -> dict[str, Any]:
        """`ready` and what it follows from: revision, each live algorithm's state, the journal and the queue."""
        snapshot = self._keeper.snapshot
        algorithms = [self._state(route) for route in snapshot.live]
        answers = self._journal.is_available and journal.database_answers()
        loaded = not algorithms or any(self._state(route)["state"] == "ready" for route in snapshot.answering)
        return {
            "ready": bool(snapshot.revision) and loaded and answers and not is_draining,
            "revision": snapshot.revision,
            "algorithms": algorithms,
            "journal": "ok" if answers else "unavailable",
            "queue": {"rows": self._batcher.rows, "limit": self.queue_rows},
        }

    def _state(self, route: Route) -> dict[str, Any]:
        slot = self._keeper.registry.slot(route.algorithm_id)
        return {
            "id": route.algorithm_id,
            "endpoint": route.endpoint,
            "name": route.name,
            "version": route.version,
            "state": slot.state,
            "reason": slot.reason,
        }
