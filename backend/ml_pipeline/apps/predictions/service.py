"""PredictionService: from a decoded request to a committed, answered prediction. Knows no HTTP; the doors do.

The order of its steps is the promise: who asks, which algorithm, is the input valid, predict, commit, and only then
the reply.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import uuid_utils.compat
from django.db import Error, connection
from django.utils import timezone

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.signature import Row, Signature
from ml_pipeline.apps.predictions.journal import Entry, Journal
from ml_pipeline.apps.predictions.routing import Route, Selection, Snapshot, SnapshotKeeper
from ml_pipeline.errors import (
    AlgorithmFailed,
    AlgorithmNotReady,
    Complaint,
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
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


@dataclass(frozen=True, slots=True)
class Question:
    """What a prediction request asks, apart from its rows. `unit` is whom the prediction is about."""

    endpoint: str
    selection: Selection
    unit: str | None = None
    probabilities: bool = False


class PredictionService:
    """The data plane of one process."""

    def __init__(self, keeper: SnapshotKeeper, journal: Journal, *, queue_rows: int) -> None:
        self._keeper = keeper
        self._journal = journal
        self.queue_rows = queue_rows
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
        AlgorithmFailed (logged with its request ids) and JournalUnavailable.
        """
        started = time.perf_counter()
        snapshot, route, algorithm = self._routed(question)
        payload = body.decode()
        _refuse_too_many(payload.rows)
        rows = algorithm.signature.rows(payload.rows, coerce=payload.coerce)
        call = _Call(snapshot, route, algorithm.signature, question, grant, started)
        with self._admitted(len(rows)):
            try:
                predictions = algorithm.compute_prediction(rows)
            except AlgorithmFailed as error:
                failures = [call.failure(row, error) for row in rows]
                logger.exception("algorithm %s failed on request %s", route.algorithm_id, failures[0].id)
                self._journal.commit(failures)
                raise AlgorithmFailed(error.message, {"request_id": str(failures[0].id)}) from error
            answers = [call.reply(prediction) for prediction in predictions]
            elapsed_us = call.elapsed_us()
            self._journal.commit(
                [
                    call.entry(row, answer, prediction, elapsed_us)
                    for row, answer, prediction in zip(rows, answers, predictions, strict=True)
                ]
            )
        return answers if payload.listed else answers[0]

    def _routed(self, question: Question) -> tuple[Snapshot, Route, Algorithm]:
        while True:
            snapshot = self._keeper.snapshot
            route = snapshot.route(question.endpoint, question.selection)
            try:
                return snapshot, route, self._keeper.registry.algorithm(route.algorithm_id)
            except AlgorithmNotReady:
                # A change in between may have unloaded it; then the new snapshot has another answer.
                if self._keeper.snapshot is snapshot:
                    raise

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
        loaded = not algorithms or any(one["state"] == "ready" for one in algorithms)
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
            "state": slot.state if slot else "unloaded",
            "reason": slot.reason if slot else "",
        }


@dataclass(frozen=True, slots=True)
class _Call:
    """One call's circumstances, which every row of it shares."""

    snapshot: Snapshot
    route: Route
    signature: Signature
    question: Question
    grant: Grant
    started: float

    def elapsed_us(self) -> int:
        return round((time.perf_counter() - self.started) * 1e6)

    def reply(self, prediction: Prediction) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "request_id": str(uuid_utils.compat.uuid7()),
            "status": "OK",
            "label": prediction.label,
            "probability": prediction.probability,
            "algorithm": self.route.name,
            "version": self.route.version,
            "endpoint": self.route.endpoint,
        }
        if prediction.probabilities is not None and (self.question.probabilities or len(self.signature.labels) > 2):
            answer["probabilities"] = dict(zip(self.signature.labels, prediction.probabilities, strict=True))
        if self.signature.task == "regression":
            answer["value"] = prediction.value
        return answer

    def entry(self, row: Row, answer: Mapping[str, Any], prediction: Prediction, latency_us: int) -> Entry:
        return Entry(
            id=UUID(answer["request_id"]),
            outcome="ok",
            full_response=_text(answer),
            response=prediction.label if prediction.value is None else repr(prediction.value),
            probability=prediction.probability,
            **self._circumstances(row, latency_us),
        )

    def failure(self, row: Row, error: AlgorithmFailed) -> Entry:
        request_id = uuid_utils.compat.uuid7()
        return Entry(
            id=request_id,
            outcome=replies.reply_to(error).code,
            full_response=_text(replies.body_of(error, request_id=str(request_id))),
            response=None,
            probability=None,
            **self._circumstances(row, self.elapsed_us()),
        )

    def _circumstances(self, row: Row, latency_us: int) -> dict[str, Any]:
        return {
            "algorithm_id": self.route.algorithm_id,
            "revision": self.snapshot.revision,
            "input_data": _text(row),
            "latency_us": latency_us,
            "unit": self.question.unit,
            "key_id": self.grant.key_id,
            "created_at": timezone.now(),
        }


def overloaded() -> Overloaded:
    """The refusal of what comes on top of a full queue."""
    return Overloaded("Too many rows are under way; try again shortly.")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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
