"""PredictionService: from a decoded request to a committed, answered prediction. Knows no HTTP; the doors do.

The order of its steps is the promise: who asks, which algorithm, is the input valid, predict, commit, and only then
the reply.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import Error, connection

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.signature import Row
from ml_pipeline.apps.predictions.calls import Call, Question
from ml_pipeline.apps.predictions.journal import Journal
from ml_pipeline.apps.predictions.keeper import SnapshotKeeper
from ml_pipeline.apps.predictions.routing import Route
from ml_pipeline.errors import (
    AlgorithmCrashed,
    AlgorithmFailed,
    AmbiguousAlgorithm,
    Complaint,
    DatabaseUnavailable,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    Unauthenticated,
)
from ml_pipeline.wire import replies

logger = logging.getLogger(__name__)

MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Payload:
    """A decoded body: the rows, whether they came as a list, and whether their values are strings to be coerced."""

    rows: Sequence[Any]
    listed: bool
    coerce: bool


class Body(Protocol):
    """A body not decoded yet: it is looked at only once the caller and the algorithm are known."""

    def decode(self) -> Payload:
        """The payload. Raises MalformedInput and UnsupportedMediaType."""
        ...


class PredictionService:
    """The data plane of one process."""

    def __init__(
        self,
        keeper: SnapshotKeeper,
        journal: Journal,
        *,
        queue_rows: int,
        deadline_s: float,
        release: Callable[[], None],
    ) -> None:
        self._keeper = keeper
        self._journal = journal
        self.queue_rows = queue_rows
        self.deadline_s = deadline_s
        self._release = release
        self._under_way = 0
        self._lock = threading.Lock()
        self._draining = False

    @property
    def is_started(self) -> bool:
        """Whether this process follows the database's revision."""
        return self._keeper.is_started

    def start(self) -> None:
        """The service follows the database's revision from now on (see `SnapshotKeeper.start`)."""
        self._keeper.start()

    def drain(self) -> None:
        """Not ready any more: a load balancer should send nothing new. What is under way is finished."""
        self._draining = True
        self._keeper.stop()

    def close(self) -> None:
        """No algorithm is loaded any more, and no process of theirs runs."""
        self._keeper.registry.close()
        self._release()

    def authorise(self, secret: str | None, scope: str) -> Grant:
        """What the key `secret` grants. Raises Unauthenticated, and Forbidden when `scope` is not in it."""
        if secret is None:
            raise Unauthenticated(replies.NO_KEY)
        snapshot = self._keeper.snapshot
        if not snapshot.revision:
            raise DatabaseUnavailable("This process has not been able to read its keys and algorithms yet.")
        grant = keys.valid(snapshot.grants.get(keys.digest(secret)))
        if not grant.allows(scope):
            raise Forbidden(f"This needs the scope {scope!r}.")
        return grant

    def predict(self, grant: Grant, question: Question, body: Body) -> dict[str, Any] | list[dict[str, Any]]:
        """The reply, or for a list of rows the list of replies, committed. All or nothing.

        Raises NotFound, AmbiguousAlgorithm, AlgorithmNotReady, InvalidInput, what `body.decode` raises, Overloaded,
        JournalUnavailable, and logged with their request ids AlgorithmFailed, AlgorithmCrashed and DeadlineExceeded.
        """
        started = time.perf_counter()
        snapshot = self._keeper.snapshot
        route = snapshot.route(question.endpoint, question.selection)
        with self._keeper.registry.leased(route.algorithm_id, route.digest) as algorithm:
            payload = body.decode()
            _refuse_too_many(payload.rows)
            rows = algorithm.signature.rows(payload.rows, coerce=payload.coerce)
            call = Call(snapshot, route, algorithm.signature, question, grant, started)
            with self._admitted(len(rows)):
                answers = self._answered(call, algorithm, rows)
        return answers if payload.listed else answers[0]

    def slow_algorithm(self, question: Question) -> int | None:
        """The id of the algorithm that would answer, where it must be loaded first or runs in another process.

        None where it answers at once in this one, or none fits. Whoever asks it should not hold up others.
        """
        try:
            route = self._keeper.snapshot.route(question.endpoint, question.selection)
        except (NotFound, AmbiguousAlgorithm):
            return None
        return None if self._keeper.registry.is_quick(route.algorithm_id) else route.algorithm_id

    def _answered(self, call: Call, algorithm: Algorithm, rows: Sequence[Row]) -> list[dict[str, Any]]:
        try:
            predictions = algorithm.compute_prediction(rows)
        except (AlgorithmFailed, AlgorithmCrashed, DeadlineExceeded) as error:
            failures = [call.failure(row, error) for row in rows]
            logger.exception("algorithm %s failed on request %s", call.route.algorithm_id, failures[0].id)
            self._journal.commit(failures)
            raise type(error)(error.message, {"request_id": str(failures[0].id)}) from error
        answers = [call.reply(prediction) for prediction in predictions]
        elapsed_us = call.elapsed_us()
        self._journal.commit(
            [
                call.entry(row, answer, prediction, elapsed_us)
                for row, answer, prediction in zip(rows, answers, predictions, strict=True)
            ]
        )
        return answers

    @contextmanager
    def _admitted(self, rows: int) -> Iterator[None]:
        with self._lock:
            # A list longer than the queue is let in alone, or it could never be answered.
            if self._under_way and self._under_way + rows > self.queue_rows:
                raise overloaded()
            self._under_way += rows
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= rows

    def readiness(self) -> dict[str, Any]:
        """`ready` and what it follows from: revision, each live algorithm's state, the journal and the queue."""
        snapshot = self._keeper.snapshot
        algorithms = [self._state(route) for route in snapshot.live]
        journal = _database_answers()
        loaded = not algorithms or any(self._state(route)["state"] == "ready" for route in snapshot.answering)
        return {
            "ready": bool(snapshot.revision) and loaded and journal and not self._draining,
            "revision": snapshot.revision,
            "algorithms": algorithms,
            "journal": "ok" if journal else "unavailable",
            "queue": {"rows": self._under_way, "limit": self.queue_rows},
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


def overloaded() -> Overloaded:
    """The refusal of what comes on top of a full queue."""
    return Overloaded("Too many rows are under way; try again shortly.")


def _refuse_too_many(rows: Sequence[Any]) -> None:
    if not 1 <= len(rows) <= MAX_ROWS:
        raise InvalidInput([Complaint(None, None, f"1 to {MAX_ROWS} rows", f"{len(rows)} rows")])


def _database_answers() -> bool:
    # Twice: a connection that was cut while it lay idle says nothing about the database.
    for _ in range(2):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            connection.close()
        else:
            return True
    return False
