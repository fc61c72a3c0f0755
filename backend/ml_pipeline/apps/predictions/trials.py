"""Trials: how a request to a running A/B test is asked of its arms, and what becomes of what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.batching import MicroBatcher
from ml_pipeline.apps.ml.decoding import Decoded
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.apps.ml.work import Stage
from ml_pipeline.apps.predictions import calls, measures
from ml_pipeline.apps.predictions.calls import COMMIT_S, GRACE_S, Call
from ml_pipeline.apps.predictions.journal import Answer
from ml_pipeline.apps.predictions.routing import Route, Trial
from ml_pipeline.apps.predictions.tested import Attempt, Tested
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import (
    AlgorithmNotReady,
    DeadlineExceeded,
    InvalidInput,
    JournalUnavailable,
    MLPipelineError,
    Overloaded,
)


class Body(Protocol):
    """A body not decoded yet."""

    def decode(self, algorithm: Algorithm) -> Decoded:
        """Its valid rows. Raises MalformedInput, UnsupportedMediaType and InvalidInput."""
        ...


class Settled(NamedTuple):
    """What follows from an attempt: what is to be logged and counted, and the request that is finished by it, if so."""

    entries: Sequence[Entry] = ()
    answers: Sequence[Answer] = ()
    finished: Sequence[Tested] = ()


class Trials:
    """Asks with `batcher` what `registry` has loaded."""

    def __init__(self, batcher: MicroBatcher[Call], registry: MLRegistry, deadline_s: float) -> None:
        self._batcher, self._registry, self._deadline_s = batcher, registry, deadline_s

    def begin(self, call: Call, trial: Trial, champion: Algorithm, body: Body) -> Tested:
        """What the champion is asked by `call`, asked of the arms of `trial`; `body` is read as each of them takes it.

        Raises AlgorithmNotReady and Overloaded.
        """
        tested = Tested(call, trial, champion)
        for arm, positions, digests in tested.shares():
            tested.attempts.append(self._attempt(tested, arm, positions, digests, body))
        try:
            for attempt in tuple(tested.attempts):
                self._ask_or_replace(attempt)
        except MLPipelineError:
            self._abandon(tested)
            raise
        return tested

    def settle(self, attempt: Attempt, now: float, created_at: str) -> Settled:
        """What follows from `attempt`, which was answered, failed, or came too late."""
        entries = calls.entries_of(attempt, now, created_at)
        tested = attempt.tested
        with tested.lock:
            if attempt.error is None:
                return self._answered(attempt, entries, now)
            if attempt.is_replaced:
                return Settled(entries)
            if tested.is_over:
                return self._late(attempt, entries, now)
            if not attempt.is_challenger:
                return self._failed(attempt, entries, now, created_at)
            tested.failures += entries
            stand_in = tested.replace(attempt)
        try:
            self._ask(stand_in)
        except MLPipelineError as error:
            with tested.lock:
                stand_in.error = error
                return self._failed(stand_in, [], now, created_at)
        return Settled()

    def overdue(self, tested: Tested, now: float) -> MLPipelineError | None:
        """As the service's: challengers that are late are replaced first."""
        if now < tested.deadline:
            return None
        if tested.deadline < tested.latest:
            tested.deadline = tested.latest
            return self._replace_late(tested)
        with tested.lock:
            pending = [] if tested.is_over else [one for one in tested.attempts if not one.is_done]
            is_running = not pending or any(one.stage is not Stage.WAITING for one in pending)
            until = tested.latest + (GRACE_S if is_running else 0.0)
            if now < until:
                return None
            if sum(self._batcher.give_up(one) for one in pending):
                tested.end()
                return DeadlineExceeded(f"The algorithm did not answer within {self._deadline_s:g} s.")
        if now < until + COMMIT_S:
            return None
        return JournalUnavailable("The prediction could not be logged in time, so it is not answered.")

    def _attempt(
        self, tested: Tested, arm: int | None, positions: list[int], digests: list[str], body: Body
    ) -> Attempt:
        route = tested.trial.route(arm)
        if route is not tested.trial.champion:
            # Loaded before the test began; what is gone all the same is not waited for.
            hosted = self._registry.slot(route.algorithm_id).hosted
            rows = None if hosted is None else self._rows(tested, route, hosted.algorithm, body)
            if hosted is not None and rows is not None:
                some = rows.at(positions)
                return Attempt(tested, arm, positions, digests, rows=some, route=route, algorithm=hosted.algorithm)
        return tested.by_champion(arm, positions, digests)

    def _rows(self, tested: Tested, route: Route, algorithm: Algorithm, body: Body) -> Records | None:
        # As the challenger takes them; None where it cannot.
        trial, features = tested.trial, algorithm.signature.features
        is_alike = trial.alike.get(route.algorithm_id)
        if is_alike is None:
            is_alike = trial.alike[route.algorithm_id] = features == tested.champion.signature.features
        if is_alike:
            return tested.rows
        try:
            return body.decode(algorithm).rows
        except InvalidInput:
            return None

    def _ask(self, attempt: Attempt, *, may_serve: bool = False) -> None:
        route = attempt.route
        measures.of(route)
        key = (route.algorithm_id, route.digest)
        if self._batcher.submit(key, attempt, may_serve=may_serve):
            attempt.waiter.soon(self._batcher.serve, key)

    def _ask_or_replace(self, attempt: Attempt) -> None:
        if attempt.tested.is_over:
            # Another arm's rows cannot be answered, so nobody gets these.
            return
        is_slow = not self._registry.is_quick(attempt.route.algorithm_id)
        try:
            if is_slow:
                # A challenger's takes no place that the champion's would have.
                attempt.waiter.take_turn(attempt.route.algorithm_id, 0.0 if attempt.is_challenger else self._deadline_s)
            self._ask(attempt, may_serve=not is_slow)
        except (AlgorithmNotReady, Overloaded) as error:
            if not attempt.is_challenger:
                raise
            with attempt.tested.lock:
                if attempt not in attempt.tested.attempts:
                    return
                # Too much at once is no fault of the arm: the champion's rows that are refused do not count either.
                stand_in = attempt.tested.replace(attempt, counts=not isinstance(error, Overloaded))
            self._ask(stand_in, may_serve=self._registry.is_quick(stand_in.route.algorithm_id))

    def _abandon(self, tested: Tested) -> None:
        with tested.lock:
            for attempt in tested.attempts:
                # It was another one that could not be asked: what runs is no fault of its arm.
                attempt.is_replaced = True
                self._batcher.give_up(attempt)
            tested.end()

    def _replace_late(self, tested: Tested) -> MLPipelineError | None:
        with tested.lock:
            pending = [] if tested.is_over else [one for one in tested.attempts if not one.is_done]
            asked = {one for one in pending if one.stage is not Stage.WAITING}
            late = [one for one in pending if one.is_challenger and self._batcher.give_up(one)]
            # What only waited behind others is no fault of the arm, as above.
            stand_ins = [tested.replace(one, counts=one in asked) for one in late]
        try:
            for stand_in in stand_ins:
                self._ask(stand_in)
        except MLPipelineError as error:
            self._abandon(tested)
            return error
        return None

    def _answered(self, attempt: Attempt, entries: list[Entry], now: float) -> Settled:
        tested = attempt.tested
        if tested.is_over:
            return Settled()
        if not tested.gather(attempt, entries, attempt.counted(now, failed=False)):
            return Settled()
        return Settled(tested.failures + tested.entries, tested.answers, [tested])

    def _failed(self, attempt: Attempt, entries: list[Entry], now: float, created_at: str) -> Settled:
        # For the whole request: it is all or nothing.
        tested, error = attempt.tested, attempt.error
        if entries and error is not None:
            tested.count(attempt, attempt.counted(now, failed=True))
            for other in tested.others(attempt):
                entries += other.failed(error, now, created_at)[0]
                tested.count(other, other.counted(now, failed=True))
        tested.end()
        tested.error = error
        return Settled(tested.failures + entries, tested.answers if entries else [], [tested])

    def _late(self, attempt: Attempt, entries: list[Entry], now: float) -> Settled:
        if attempt.is_done:
            return Settled()
        # Part of a list is left out: it is one arm's, and the other's are not known.
        is_whole = len(attempt.positions) == len(attempt.tested.ids)
        return Settled(entries, attempt.counted(now, failed=True) if entries and is_whole else [])
