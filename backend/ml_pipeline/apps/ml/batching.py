"""MicroBatcher: calls that wait for one algorithm are answered together, and none of them harms another.

It takes what waits and adds no delay unless it is told to. Each key, an algorithm, has a bounded lane of its own,
served by one thread at a time: a slow algorithm holds up nobody else. Threads are made when there is work and end when
there is none for a while, so nothing runs in a process that is only going to fork. A lane that is known to be quick may
be served by whoever submits: handing work to another thread costs more than some models do.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.work import Stage, Work, overloaded, share
from ml_pipeline.errors import (
    AlgorithmCrashed,
    AlgorithmFailed,
    AlgorithmNotReady,
    DeadlineExceeded,
    MLPipelineError,
)

logger = logging.getLogger(__name__)

# An idle thread ends after this.
IDLE_S = 10.0
# How long a replacement of a crashed algorithm is waited for before it is asked for again.
RESTART_POLL_S = 0.02
# What may hold up a caller who has others to attend to.
QUICK_S = 0.002
MOST_LEARNED = 10_000
# Lanes served at once; most of these threads wait for algorithms in processes of their own.
MAX_THREADS = 64


W = TypeVar("W", bound=Work)
Run = Callable[[Any, Records], Sequence[Prediction]]


@dataclass(slots=True)
class _Lane(Generic[W]):
    key: Hashable
    waiting: deque[W] = field(default_factory=deque)
    # Waiting and running.
    rows: int = 0
    # By a thread, or soon by whoever submitted.
    is_served: bool = False


class MicroBatcher(Generic[W]):
    """Answers work by `run(key, rows)`, several pieces at once, and hands it to `deliver`.

    A batch has at most `max_batch` rows unless a single piece of work has more. `max_wait_us` microseconds are waited
    for it to fill. A lane holds at most `queue_rows`; a single piece that has more is let in alone. `deliver` is called
    in the lane's thread with every piece that was run or came too late, in order of arrival, also with those that were
    given up while they ran. Thread-safe; a forked process begins with empty lanes.
    """

    def __init__(
        self,
        run: Run,
        deliver: Callable[[Sequence[W]], None],
        *,
        max_batch: int,
        max_wait_us: int,
        queue_rows: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._deliver, self._clock = run, deliver, clock
        self._max_batch, self._max_wait_s, self.queue_rows = max_batch, max_wait_us / 1e6, queue_rows
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lanes: dict[Hashable, _Lane[W]] = {}
        # Lanes that no thread serves yet.
        self._unserved: deque[_Lane[W]] = deque()
        self._threads = self._idle = 0
        # Seconds a row of late, by key.
        self._row_s: dict[Hashable, float] = {}
        self._is_closed = False
        self._changed = threading.Condition()
        self._filled = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]
        self._emptied = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]

    @property
    def rows(self) -> int:
        """Rows that wait or are being answered, of all lanes."""
        with self._changed:
            return sum(lane.rows for lane in self._lanes.values())

    @property
    def threads(self) -> int:
        """Threads that live now."""
        return self._threads

    def submit(self, key: Hashable, work: W, *, may_serve: bool = False) -> bool:
        """`work` waits for its turn in the lane of `key`. Raises Overloaded, and AlgorithmNotReady once closed.

        True, only where the caller `may_serve`, when he is to call `serve` with `key` soon, and nobody else will: what
        waits is expected to take less than QUICK_S.
        """
        rows = work.size
        with self._changed:
            if self._is_closed:
                raise AlgorithmNotReady("This process is being stopped; another one answers.")
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane(key)
            if lane.rows and lane.rows + rows > self.queue_rows:
                raise overloaded()
            lane.rows += rows
            lane.waiting.append(work)
            if lane.is_served:
                if self._max_wait_s:
                    self._filled.notify_all()
                return False
            lane.is_served = True
            if may_serve and lane.rows * self._row_s.get(key, QUICK_S) < QUICK_S and not self._max_wait_s:
                return True
            self._unserved.append(lane)
            if self._idle >= len(self._unserved):
                self._changed.notify()
            elif self._threads < MAX_THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name="batch", daemon=True).start()
            return False

    def serve(self, keys: Sequence[Hashable]) -> None:
        """What waits in the lanes of `keys` is answered by the calling thread, which `submit` has asked for each.

        What is answered in one round through them is handed on together.
        """
        with self._changed:
            lanes = [self._lanes[key] for key in keys]
        self._serve(lanes)

    def give_up(self, work: W) -> bool:
        """Whether nobody will be told of `work` any more; False when it is settled, and its answer on the way.

        What waits is not run and not delivered; what is running runs on beside its batch-mates.
        """
        with self._changed:
            if work.stage is Stage.SETTLED:
                return False
            work.stage = Stage.GIVEN_UP
            return True

    def close(self, patience_s: float | None = None) -> bool:
        """Whether all that waited is answered, which is awaited; nothing is taken any more."""
        with self._changed:
            self._is_closed = True
            # Nobody waits any longer for a batch to fill, nor for work.
            self._filled.notify_all()
            self._changed.notify_all()
            return self._emptied.wait_for(lambda: not self._lanes, patience_s)

    def _work(self) -> None:
        while (lane := self._next_lane()) is not None:
            self._serve([lane])

    def _serve(self, lanes: Sequence[_Lane[W]]) -> None:
        while taken := [(lane, batch) for lane in lanes if (batch := self._taken(lane)) is not None]:
            for lane, batch in taken:
                self._answer(lane, batch)
            self._hand_on(taken)
            lanes = [lane for lane, _ in taken]

    def _next_lane(self) -> _Lane[W] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._unserved or self._is_closed, IDLE_S)
            self._idle -= 1
            if self._unserved:
                return self._unserved.popleft()
            self._threads -= 1
            return None

    def _taken(self, lane: _Lane[W]) -> list[W] | None:
        # The next batch; None when the lane is empty, and then it is no longer served.
        with self._changed:
            if self._max_wait_s and lane.waiting:
                self._filled.wait_for(lambda: self._is_closed or self._is_full(lane), self._max_wait_s)
            batch: list[W] = []
            rows = 0
            while lane.waiting and (not batch or rows + lane.waiting[0].size <= self._max_batch):
                work = lane.waiting.popleft()
                if work.stage is Stage.GIVEN_UP:
                    lane.rows -= work.size
                    continue
                work.stage = Stage.RUNNING
                rows += work.size
                batch.append(work)
            if batch:
                return batch
            lane.is_served = False
            del self._lanes[lane.key]
            if not self._lanes:
                self._emptied.notify_all()
            return None

    def _is_full(self, lane: _Lane[W]) -> bool:
        return sum(work.size for work in lane.waiting) >= self._max_batch

    def _answer(self, lane: _Lane[W], batch: list[W]) -> None:
        begun = self._clock()
        self._predict(lane.key, batch)
        rows = sum(work.size for work in batch)
        self._learn(lane.key, (self._clock() - begun) / max(rows, 1))
        with self._changed:
            for work in batch:
                if work.stage is Stage.RUNNING:
                    work.stage = Stage.SETTLED

    def _hand_on(self, taken: Sequence[tuple[_Lane[W], list[W]]]) -> None:
        try:
            self._deliver([work for _, batch in taken for work in batch])
        # The outermost edge of this thread: the lanes must go on.
        except BaseException:
            logger.exception("answers could not be handed on")
        with self._changed:
            for lane, batch in taken:
                lane.rows -= sum(work.size for work in batch)

    def _learn(self, key: Hashable, row_s: float) -> None:
        # Slow once is slow for a while; no more of it is remembered than of algorithms that are in use.
        if len(self._row_s) >= MOST_LEARNED:
            self._row_s.clear()
        before = self._row_s.get(key, 0.0)
        self._row_s[key] = max(row_s, 0.9 * before + 0.1 * row_s)

    def _predict(self, key: Hashable, batch: Sequence[W], *, again: bool = False) -> None:
        while batch := self._timely(batch):
            for work in batch:
                work.is_asked = True
            try:
                share(batch, self._run(key, Records.joined([work.rows for work in batch])))
            # Whatever it was: no thread and no batch-mate is harmed by it.
            except BaseException as error:  # noqa: BLE001
                if again and type(error) is AlgorithmNotReady:
                    # A batch-mate crashed it, and it is being started again.
                    time.sleep(RESTART_POLL_S)
                    continue
                self._fail(key, batch, error)
            return

    def _timely(self, batch: Sequence[W]) -> Sequence[W]:
        now = self._clock()
        if all(work.deadline > now for work in batch):
            return batch
        for work in batch:
            if work.deadline <= now:
                work.error = DeadlineExceeded("The algorithm was not asked in time; others came first.")
        return [work for work in batch if work.deadline > now]

    def _fail(self, key: Hashable, batch: Sequence[W], error: BaseException) -> None:
        if len(batch) > 1 and _is_of_one(error):
            # One of them may be the cause: the others are asked again without it.
            half = len(batch) // 2
            self._predict(key, batch[:half], again=True)
            self._predict(key, batch[half:], again=True)
            return
        if not isinstance(error, MLPipelineError):
            unforeseen = AlgorithmFailed("The algorithm failed in a way nobody foresaw.")
            unforeseen.__cause__ = error
            error = unforeseen
        for work in batch:
            work.error = error


def _is_of_one(error: BaseException) -> bool:
    # What a single row may cause; being overdue or not loaded is the fate of all.
    return not isinstance(error, MLPipelineError) or isinstance(error, AlgorithmFailed | AlgorithmCrashed)
