"""Calls: what one prediction call asks, and its replies and log entries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import uuid_utils

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints.input_rules import InputRule
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.decoding import Decoded
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.apps.ml.work import Stage, Work
from ml_pipeline.apps.predictions.routing import Route, Selection
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import AlgorithmCrashed, AlgorithmFailed, DeadlineExceeded, MLPipelineError
from ml_pipeline.metrics.traces import Part
from ml_pipeline.wire import log_lines, replies

logger = logging.getLogger(__name__)

# What an algorithm did wrong is logged; that it was not asked, or not loaded, is not.
FAILURES = (AlgorithmFailed, AlgorithmCrashed, DeadlineExceeded)
# An algorithm in a process of its own says by itself when it is overdue, with the id under which that is logged.
GRACE_S = 1.0
# How long a commit may take on top. A database that answers nothing must not keep whoever waits for it.
COMMIT_S = 2.0
_encoded = msgspec.json.Encoder().encode


class Question(NamedTuple):
    """What a prediction request asks, apart from its rows. `unit` is whom the prediction is about."""

    endpoint: str
    selection: Selection
    unit: str | None = None
    probabilities: bool = False


class Pending(Protocol):
    """What somebody waits for."""

    waiter: Waiter
    is_finished: bool
    # On the monotonic clock.
    deadline: float


class Answerable(Pending, Protocol):
    """A prediction request that somebody waits for: finished, it has a `reply` in JSON or an `error`."""

    error: MLPipelineError | None
    reply: bytes
    # Whether it is among the requests that are counted (see `measures`): under whose route, since when, of how many
    # rows.
    is_counted: bool
    # When its batch began and ended, on the monotonic clock; and what took its time, where traces are told.
    ran: tuple[float, float] | None
    parts: Sequence[Part]

    @property
    def route(self) -> Route:
        """Who answers it; of several, the first."""
        ...

    @property
    def started(self) -> float:
        """When it came, on the monotonic clock."""
        ...

    @property
    def size(self) -> int:
        """Its number of rows."""
        ...


class Waiter(Protocol):
    """Who waits for something to be finished."""

    def soon(self, serve: Callable[[Sequence[Hashable]], Sequence[Hashable]], key: Hashable) -> None:
        """`serve`, which takes little time, is called in the thread that waits, once what comes meanwhile is read.

        Its argument are the keys for which it was asked till then; it is the same each time. It is called once more for
        those that it returns.
        """
        ...

    def take_turn(self, algorithm_id: int, patience_s: float) -> None:
        """It may wait for an algorithm that is slow, until it waits no longer at all. Raises Overloaded."""
        ...

    def wake(self, finished: Sequence[Pending]) -> None:
        """All of these are finished. Called in another thread than the one that waits, and must not raise."""
        ...


def entries_of(call: Call, now: float, created_at: str) -> list[Entry]:
    """As `call.entries`; where its answer cannot be told, that is its `error`."""
    # Whatever it was: the others are answered, and nobody waits for ever.
    try:
        return call.entries(now, created_at)
    except Exception as error:
        request_id = str(uuid_utils.uuid7())
        call.error = AlgorithmFailed("The answer could not be told.", {"request_id": request_id})
        shown, about = error if call.rule is None else None, {log_lines.ABOUT: {"request_id": request_id}}
        logger.error("the answer of algorithm %s is none", call.route.algorithm_id, exc_info=shown, extra=about)
        return []


def wake(finished: Sequence[Pending]) -> None:
    """Whoever waits for one of these is told that it is finished."""
    # Nearly always there is one waiter: the server's event loop.
    by_waiter: dict[Waiter, list[Pending]] = {}
    for one in finished:
        one.is_finished = True
        by_waiter.setdefault(one.waiter, []).append(one)
    for waiter, its in by_waiter.items():
        waiter.wake(its)


class Call(Work):
    """One call from its decoding until it is finished; then it has a `reply`, or an `error` that is told instead."""

    __slots__ = (
        "grant",
        "is_counted",
        "is_finished",
        "is_listed",
        "parts",
        "question",
        "reply",
        "revision",
        "route",
        "rule",
        "signature",
        "started",
        "waiter",
    )
    # Of the A/B test that it is part of.
    test_id: int | None = None
    arm: int | None = None

    def __init__(
        self,
        decoded: Decoded,
        question: Question,
        *,
        route: Route,
        revision: int,
        signature: Signature,
        grant: Grant,
        rule: InputRule | None,
        waiter: Waiter,
        since: float,
        deadline_s: float,
    ) -> None:
        self.started = since
        super().__init__(decoded.rows, since + deadline_s)
        self.is_listed = decoded.listed
        self.route, self.revision, self.signature = route, revision, signature
        self.question, self.grant, self.waiter = question, grant, waiter
        # What the log keeps of the input, where that is not all.
        self.rule = rule
        self.is_finished = self.is_counted = False
        self.parts: Sequence[Part] = ()
        # The JSON text of the reply.
        self.reply = b""

    def entries(self, now: float, created_at: str) -> list[Entry]:
        """The log entries of the call, answered or failed; its `error` names the first where the algorithm failed."""
        if self.stage is Stage.GIVEN_UP:
            self.error = self.error or DeadlineExceeded("Nobody waited for the answer any longer.")
        if self.error is None:
            return self.answered(now, created_at)
        if not (self.is_asked and isinstance(self.error, FAILURES)):
            return []
        error = self.error
        failures, first = self.failed(error, now, created_at)
        # What an algorithm says may quote the input; where that is kept back, its kind alone is told.
        kind = "" if self.rule is None else f": {type(error.__cause__ or error).__name__}"
        shown = error if self.rule is None else None
        about = {log_lines.ABOUT: {"request_id": first}}
        text = "algorithm %s failed on request %s%s"
        logger.error(text, self.route.algorithm_id, first, kind, exc_info=shown, extra=about)
        self.error = type(error)(error.message, {"request_id": first})
        return failures

    def answered(self, now: float, created_at: str) -> list[Entry]:
        """The log entries of the predictions it has, which also make its `reply`; `now` is monotonic, in seconds."""
        latency_us, rule = round((now - self.started) * 1e6), self.rule
        replied, entries = [], []
        ids = self.request_ids()
        for request_id, record, prediction in zip(ids, self.rows.cells, self.predictions, strict=True):
            reply = _encoded(self._reply(request_id, prediction))
            replied.append(reply)
            row = dict(zip(self.rows.names, record, strict=True))
            entries.append(
                Entry(
                    request_id.replace("-", ""),
                    self.route.algorithm_id,
                    "ok",
                    self.revision,
                    _encoded(row if rule is None else rule.kept(request_id, row)).decode(),
                    reply.decode(),
                    prediction.label if prediction.value is None else repr(prediction.value),
                    prediction.probability,
                    latency_us,
                    self.question.unit,
                    self.grant.key_id,
                    created_at,
                    self.test_id,
                    self.arm,
                )
            )
        self.tell(replied)
        return entries

    def failed(self, error: MLPipelineError, now: float, created_at: str) -> tuple[list[Entry], str]:
        """The log entries of rows on which the algorithm failed, and the id of the first of these requests."""
        code, first = replies.reply_to(error).code, ""
        entries = []
        for request_id, row in zip(self.request_ids(), self.rows, strict=True):
            told = type(error)(error.message, {"request_id": request_id})
            entries.append(
                Entry(
                    request_id.replace("-", ""),
                    self.route.algorithm_id,
                    code,
                    self.revision,
                    _encoded(row if self.rule is None else self.rule.kept(request_id, row)).decode(),
                    _encoded(replies.body_of(told, request_id=request_id)).decode(),
                    None,
                    None,
                    round((now - self.started) * 1e6),
                    self.question.unit,
                    self.grant.key_id,
                    created_at,
                    self.test_id,
                    self.arm,
                )
            )
            first = first or request_id
        return entries, first

    def request_ids(self) -> Sequence[str]:
        """An id for each of its rows."""
        return [str(uuid_utils.uuid7()) for _ in self.rows.cells]

    def tell(self, replies: list[bytes]) -> None:
        """Its `reply` is made of those to its rows."""
        self.reply = b"[" + b",".join(replies) + b"]" if self.is_listed else replies[0]

    def _reply(self, request_id: str, prediction: Prediction) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "request_id": request_id,
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
        if self.arm is not None:
            answer["abtest"], answer["arm"] = self.test_id, self.arm
        return answer
