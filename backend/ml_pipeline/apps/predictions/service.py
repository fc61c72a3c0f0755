"""PredictionService: from a decoded request to a committed, answered prediction. Knows no HTTP; the doors do.

The order of its steps is the promise: who asks, which algorithm, is the input valid, predict, commit, and only then
the reply. The first three are done by whoever calls; he is woken when the rest is done.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from ml_pipeline import interpreter
from ml_pipeline.apps.accounts import keys, quotas
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.batching import MicroBatcher
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.work import Stage
from ml_pipeline.apps.predictions import calls, journal, measures
from ml_pipeline.apps.predictions.calls import COMMIT_S, GRACE_S, Answerable, Call, Pending, Question, Waiter
from ml_pipeline.apps.predictions.condition import Condition
from ml_pipeline.apps.predictions.journal import Answer, Group, Journal
from ml_pipeline.apps.predictions.keeper import SnapshotKeeper
from ml_pipeline.apps.predictions.outcomes import Outcome, Outcomes
from ml_pipeline.apps.predictions.routing import Route, Trial
from ml_pipeline.apps.predictions.tested import Attempt, Tested
from ml_pipeline.apps.predictions.trials import Body, Trials
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import (
    AmbiguousAlgorithm,
    DatabaseUnavailable,
    DeadlineExceeded,
    Forbidden,
    JournalUnavailable,
    MLPipelineError,
    NotFound,
    Unauthenticated,
)
from ml_pipeline.wire import replies

logger = logging.getLogger(__name__)

# How long a process that is being stopped waits for what is under way.
CLOSING_S = 30.0


class PredictionService:
    """The data plane of one process."""

    def __init__(
        self,
        keeper: SnapshotKeeper,
        journal_: Journal,
        outcomes: Outcomes,
        *,
        queue_rows: int,
        max_batch: int,
        max_wait_us: int,
        deadline_s: float,
        release: Callable[[], None],
    ) -> None:
        self._keeper = keeper
        self._journal = journal_
        self._outcomes = outcomes
        self.deadline_s = deadline_s
        self._release = release
        self._draining = False
        self._batcher: MicroBatcher[Call] = MicroBatcher(
            self._run,
            self._deliver,
            max_batch=max_batch,
            max_wait_us=max_wait_us,
            queue_rows=queue_rows,
            is_at_hand=lambda key: keeper.registry.is_quick(key[0]),
        )
        self.condition = Condition(keeper, self._batcher, journal_)
        self._trials = Trials(self._batcher, keeper.registry, deadline_s)

    @property
    def is_started(self) -> bool:
        """Whether this process follows the database's revision."""
        return self._keeper.is_started

    def readiness(self) -> dict[str, Any]:
        """See `Condition.readiness`."""
        return self.condition.readiness(is_draining=self._draining)

    def shows(self, grant: Grant) -> Callable[[str], bool]:
        """Whether whoever holds `grant` may read of an endpoint, by its name."""
        return functools.partial(self._keeper.snapshot.shows, grant)

    def start(self) -> None:
        """The service follows the database's revision from now on (see `SnapshotKeeper.start`)."""
        if self.is_started:
            return
        self._keeper.start()
        interpreter.settle()

    def resign(self) -> None:
        """Not ready any more: a load balancer should send nothing new. What comes all the same is answered as ever."""
        self._draining = True

    def drain(self) -> None:
        """As `resign`, and no change is followed any more. What is under way is finished."""
        self.resign()
        self._keeper.stop()

    def close(self) -> None:
        """Everything under way is answered; no algorithm is loaded any more, and no process of theirs runs."""
        closed = [one.close(CLOSING_S) for one in (self._batcher, self._journal, self._outcomes)]
        if not all(closed):
            logger.error("what was under way is not finished after %g s", CLOSING_S)
        self._keeper.registry.close()
        self._release()

    def authorise(self, secret: str | None, scope: str) -> Grant:
        """What the key `secret` grants. Raises Unauthenticated, and Forbidden when `scope` is not in it."""
        grant = self.granted(secret)
        if not grant.allows(scope):
            raise Forbidden(f"This needs the scope {scope!r}.")
        return grant

    def granted(self, secret: str | None) -> Grant:
        """What the key `secret` grants, whatever it is. Raises Unauthenticated, and DatabaseUnavailable at first."""
        if secret is None:
            raise Unauthenticated(replies.NO_KEY)
        snapshot = self._keeper.snapshot
        if not snapshot.revision:
            raise DatabaseUnavailable("This process has not been able to read its keys and algorithms yet.")
        return keys.valid(snapshot.grants.get(keys.digest(secret)))

    def begin(self, grant: Grant, question: Question, body: Body, waiter: Waiter, since: float) -> Answerable:
        """The call, under way; `waiter` is woken when it is finished. An algorithm that is not loaded is loaded first.

        It has come at `since`, on the monotonic clock. Raises NotFound, AmbiguousAlgorithm, AlgorithmNotReady,
        Overloaded, QuotaExceeded, DeadlineExceeded when it is late by now, and what `body.decode` raises. A finished
        call's `error` is JournalUnavailable, AlgorithmNotReady or DeadlineExceeded or, logged with their request ids,
        AlgorithmFailed, AlgorithmCrashed and DeadlineExceeded. It is all or nothing for a list.
        """
        begun, route = time.monotonic(), None
        try:
            if begun > since + self.deadline_s:
                raise DeadlineExceeded("Too much waits to be read; it was not asked in time.")
            snapshot = self._keeper.snapshot
            trial = snapshot.trial(question.endpoint, question.selection) if snapshot.trials else None
            if trial is None:
                route = snapshot.route_for(grant, question.endpoint, question.selection)
            else:
                snapshot.admit(grant, question.endpoint)
                # It says what a valid row is, and may have to answer in the place of any other.
                route = trial.champion
            key = (route.algorithm_id, route.digest)
            algorithm = self._keeper.registry.algorithm(*key)
            since += time.monotonic() - begun  # Where it had to be loaded first, that is not held against it.
            decoded = body.decode(algorithm)
            quotas.meter.take(grant.quotas, len(decoded.rows))
            call = Call(
                decoded,
                question,
                route=route,
                revision=snapshot.revision,
                signature=algorithm.signature,
                grant=grant,
                rule=snapshot.rules.get(route.endpoint),
                waiter=waiter,
                since=since,
                deadline_s=self.deadline_s,
            )
            if trial is not None:
                return self._trials.begin(call, trial, algorithm, body)
            measures.of(route)  # Its batches are counted from the first on.
            if self._batcher.submit(key, call, may_serve=not algorithm.runtime.is_isolated):
                waiter.soon(self._batcher.serve, key)
        except MLPipelineError as error:
            measures.refused(error, route)
            raise
        return call

    def tell(self, grant: Grant, request_id: UUID, value: Any, waiter: Waiter) -> Outcome:
        """The telling of a true outcome, under way; `waiter` is woken when it is finished."""
        outcome = Outcome(request_id, value, grant, waiter, deadline=time.monotonic() + self.deadline_s)
        self._outcomes.submit(outcome)
        return outcome

    def overdue(self, pending: Pending, now: float) -> MLPipelineError | None:
        """Why nobody should wait for `pending` any longer, if so; what comes of it is then told to nobody.

        `now` is monotonic, in seconds. What is being committed may be in the log all the same.
        """
        if pending.is_finished:
            # Who waits is about to be told.
            return None
        if not isinstance(pending, Call | Tested):
            if now < pending.deadline + COMMIT_S:
                return None
            return DatabaseUnavailable("The feedback could not be recorded in time; it may be all the same.")
        error = self._trials.overdue(pending, now) if isinstance(pending, Tested) else self._late(pending, now)
        if error is not None:
            measures.given_up(pending, error)
        return error

    def _late(self, pending: Call, now: float) -> MLPipelineError | None:
        until = pending.deadline if pending.stage is Stage.WAITING else pending.deadline + GRACE_S
        if now < until:
            return None
        if self._batcher.give_up(pending):
            return DeadlineExceeded(f"The algorithm did not answer within {self.deadline_s:g} s.")
        if now < until + COMMIT_S:
            return None
        return JournalUnavailable("The prediction could not be logged in time, so it is not answered.")

    def slow_algorithm(self, question: Question) -> int | None:
        """The id of the algorithm that would answer, where it must be loaded first or runs in another process.

        None where it answers at once in this one, or none fits. Whoever asks it should not hold up others. In a test
        turns are taken when the arm is known.
        """
        if self._trial(question) is not None:
            return None
        route = self._route(question)
        return None if route is None or self._keeper.registry.is_quick(route.algorithm_id) else route.algorithm_id

    def is_absent(self, question: Question) -> bool:
        """Whether the algorithm that would answer must be loaded first, for which `begin` then waits."""
        route = self._route(question)
        return route is not None and self._keeper.registry.slot(route.algorithm_id).state != "ready"

    def _trial(self, question: Question) -> Trial | None:
        return self._keeper.snapshot.trial(question.endpoint, question.selection)

    def _route(self, question: Question) -> Route | None:
        trial = self._trial(question)
        if trial is not None:
            return trial.champion
        try:
            return self._keeper.snapshot.route(question.endpoint, question.selection)
        except (NotFound, AmbiguousAlgorithm):
            return None

    def _run(self, key: tuple[int, str], rows: Records) -> Sequence[Prediction]:
        begun = time.monotonic()
        try:
            with self._keeper.registry.leased(*key) as algorithm:
                return algorithm.compute_prediction(rows)
        finally:
            measures.ran(key[0], len(rows), time.monotonic() - begun)

    def _deliver(self, settled: Sequence[Call]) -> None:
        now, created_at = time.monotonic(), journal.now()
        entries: list[Entry] = []
        answers: list[Answer] = []
        finished: list[Answerable] = []
        for call in settled:
            if isinstance(call, Attempt):
                found = self._trials.settle(call, now, created_at)
                entries += found.entries
                answers += found.answers
                finished += found.finished
            else:
                entries += calls.entries_of(call, now, created_at)
                finished.append(call)
        if not entries:
            journal.finish(finished)
            return
        try:
            self._journal.submit(Group(entries, finished, answers))
        except JournalUnavailable as error:
            journal.finish(finished, error)
        # Whatever it was: nobody waits for ever.
        except Exception:
            logger.exception("predictions could not be handed to the journal")
            journal.finish(finished, JournalUnavailable(journal.UNAVAILABLE))
