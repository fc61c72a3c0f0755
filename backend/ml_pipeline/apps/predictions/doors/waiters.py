"""Waiters: how a door learns that its calls are finished, or that it need not wait for them any longer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import TypeAlias

from ml_pipeline.apps.predictions.calls import Pending
from ml_pipeline.apps.predictions.doors.turns import Turns
from ml_pipeline.apps.predictions.service import PredictionService
from ml_pipeline.errors import MLPipelineError

# How often calls that are overdue are looked for.
SWEEP_S = 0.1
# Rounds of the event loop in which more may arrive before what has arrived is served.
MOST_ROUNDS = 8
Serve: TypeAlias = Callable[[Sequence[Hashable]], Sequence[Hashable]]


class LoopWaiter:
    """Waits in an event loop; many calls that are finished together wake it once."""

    def __init__(self, service: PredictionService) -> None:
        self._service = service
        self.loop, self._thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._futures: dict[Pending, asyncio.Future[MLPipelineError | None]] = {}
        self._is_sweeping = False
        self._awaited = 0
        # Lanes that this loop is to serve.
        self._keys: list[Hashable] = []

    async def finished(self, call: Pending) -> None:
        """Returns when `call` is finished. Raises what `overdue` says when it is."""
        if call.is_finished:
            return
        future = self._futures[call] = self.loop.create_future()
        self._awaited += 1
        if not self._is_sweeping:
            self._is_sweeping = True
            self.loop.call_later(SWEEP_S, self._sweep)
        try:
            overdue = await future
        finally:
            self._futures.pop(call, None)
        if overdue is not None:
            raise overdue

    def soon(self, serve: Serve, key: Hashable) -> None:
        """See `Waiter.soon`: once a round of the loop has brought nothing new."""
        if threading.get_ident() != self._thread_id:
            self.loop.call_soon_threadsafe(self.soon, serve, key)
            return
        self._keys.append(key)
        if len(self._keys) == 1:
            # Whoever asks will be awaited himself, which is no news.
            self.loop.call_soon(self._serve, serve, self._awaited + 1, MOST_ROUNDS)

    def _serve(self, serve: Serve, awaited: int, rounds: int) -> None:
        if self._awaited > awaited and rounds:
            self.loop.call_soon(self._serve, serve, self._awaited, rounds - 1)
            return
        keys, self._keys = self._keys, []
        for key in serve(keys):
            self.soon(serve, key)

    def take_turn(self, algorithm_id: int, patience_s: float) -> None:
        """See `Waiter.take_turn`: any number may wait in a loop."""

    def wake(self, finished: Sequence[Pending]) -> None:
        """See `Waiter.wake`."""
        if threading.get_ident() == self._thread_id:
            self._resolve(finished)
            return
        try:
            self.loop.call_soon_threadsafe(self._resolve, finished)
        except RuntimeError:
            # The loop is closed: nobody waits in it any more.
            return

    def _resolve(self, finished: Sequence[Pending]) -> None:
        for call in finished:
            future = self._futures.get(call)
            if future is not None and not future.done():
                future.set_result(None)

    def _sweep(self) -> None:
        now = time.monotonic()
        for call, future in list(self._futures.items()):
            overdue = self._service.overdue(call, now)
            if overdue is not None and not future.done():
                future.set_result(overdue)
        self._is_sweeping = bool(self._futures)
        if self._is_sweeping:
            self.loop.call_later(SWEEP_S, self._sweep)


class ThreadWaiter:
    """Waits in a thread for one call."""

    def __init__(self, service: PredictionService, turns: Turns, held: ExitStack) -> None:
        """It takes `turns`, and has them until `held` is left."""
        self._service = service
        self._turns, self._held = turns, held
        # Whose turns it has.
        self._has: set[int] = set()
        self._is_finished = threading.Event()

    def finished(self, call: Pending) -> None:
        """Returns when `call` is finished. Raises what `overdue` says when it is."""
        left_s = call.deadline - time.monotonic()
        while not self._is_finished.wait(max(left_s, 0.0)):
            overdue = self._service.overdue(call, time.monotonic())
            if overdue is not None:
                raise overdue
            left_s = SWEEP_S

    def soon(self, serve: Serve, key: Hashable) -> None:
        """See `Waiter.soon`: it has nothing else to do."""
        keys: Sequence[Hashable] = [key]
        while keys:
            keys = serve(keys)

    def take_turn(self, algorithm_id: int, patience_s: float) -> None:
        """See `Waiter.take_turn`: a server has few threads."""
        # The rows of several arms may be asked of one algorithm.
        if algorithm_id not in self._has:
            self._held.enter_context(self._turns.turn(algorithm_id, patience_s))
            self._has.add(algorithm_id)

    def wake(self, finished: Sequence[Pending]) -> None:
        """See `Waiter.wake`."""
        self._is_finished.set()
