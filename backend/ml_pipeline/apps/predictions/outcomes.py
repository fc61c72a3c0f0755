"""Outcomes: feedback on single requests, told one by one and committed together, as predictions are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import Error, connection

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import feedback
from ml_pipeline.apps.endpoints.feedback import Item, Told
from ml_pipeline.apps.predictions import gaps, measures
from ml_pipeline.apps.predictions.calls import Waiter, wake
from ml_pipeline.apps.predictions.commits import GroupCommit, Turn
from ml_pipeline.errors import DatabaseUnavailable, MLPipelineError

logger = logging.getLogger(__name__)


class Outcome:
    """One telling of a true outcome until it is finished; then it has `told`, or an `error`."""

    __slots__ = ("deadline", "error", "grant", "is_finished", "item", "told", "waiter")

    def __init__(self, request_id: UUID, value: Any, grant: Grant, waiter: Waiter, *, deadline: float) -> None:
        self.waiter, self.deadline = waiter, deadline
        self.is_finished = False
        self.item = Item(request_id, value)
        self.grant = grant
        self.told: Told | None = None
        self.error: MLPipelineError | None = None

    def reply(self) -> dict[str, Any]:
        """The reply to whoever told it. Raises the error, NotFound and InvalidInput."""
        if self.error is not None or self.told is None:
            raise self.error or DatabaseUnavailable("The feedback was not recorded.")
        effect = feedback.accepted(self.item, self.told)
        return {"id": str(self.item.request_id), "status": effect, "feedback": self.told.effective}


class Outcomes:
    """Records outcomes; in `turn` this process may write. Thread-safe; a forked process begins with nothing."""

    def __init__(self, turn: Turn) -> None:
        self._commits: GroupCommit[Outcome] = GroupCommit(self._record, lambda _: 1, turn=turn, name="feedback")

    def submit(self, outcome: Outcome) -> None:
        """`outcome` is recorded with whatever else waits, and its waiter woken. Raises JournalUnavailable."""
        self._commits.submit(outcome)

    def close(self, patience_s: float | None = None) -> bool:
        """Whether everything is recorded, which is awaited."""
        return self._commits.close(patience_s)

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        begun = time.monotonic()
        try:
            told = _recorded(outcomes)
        # The outermost edge of this thread: whatever it was, whoever waits is told, and the next are recorded.
        except Exception as error:
            if len(outcomes) > 1 and not isinstance(error, Error):
                # One of them may be the cause.
                for outcome in outcomes:
                    self._record([outcome])
                return
            measures.not_committed(measures.OUTCOMES)
            logger.error("feedback could not be recorded: %s", error, exc_info=not isinstance(error, Error))
            connection.close()
            for outcome in outcomes:
                outcome.error = DatabaseUnavailable("The feedback could not be recorded.")
        else:
            measures.committed(measures.OUTCOMES, len(outcomes), time.monotonic() - begun)
            for outcome, one in zip(outcomes, told, strict=True):
                outcome.told = one
        wake(outcomes)


def _recorded(outcomes: Sequence[Outcome]) -> list[Told]:
    record = partial(feedback.record_each, [(outcome.item, outcome.grant) for outcome in outcomes])
    try:
        return _patiently(record)
    except Error:
        # As in the journal: what was cut while it lay idle has written nothing.
        if connection.connection is not None and connection.is_usable():
            raise
        connection.close()
        return _patiently(record)


def _patiently(record: Callable[[], list[Told]]) -> list[Told]:
    # Who predicts waits for this one's turn.
    connection.ensure_connection()
    gaps.wait_for_nobody(connection)
    return gaps.patiently(connection, record)
