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

from ml_pipeline.apps.ml.bisection import Bisection, Run
from ml_pipeline.apps.ml.work import Stage, Work, overloaded
from ml_pipeline.errors import AlgorithmNotReady

logger = logging.getLogger(__name__)

# An idle thread ends after this.
IDLE_S = 10.0
# What one lane, and what all that are served in one go may hold up a caller who has others to attend to.
QUICK_S, MOST_S = 0.002, 0.01
MOST_LEARNED = 10_000
# Lanes served at once; most of these threads wait for algorithms in processes of their own.
MAX_THREADS = 64


W = TypeVar("W", bound=Work)


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
    given up while they ran. What is not `is_at_hand(key)` any more is never run by a caller, whom it would hold up.
    Thread-safe; a forked process begins with empty lanes.
    """

    def __init__(
        self,
        run: Run,
        deliver: Callable[[Sequence[W]], None],
        *,
        max_batch: int,
        max_wait_us: int,
        queue_rows: int,
        is_at_hand: Callable[[Any], bool] = lambda _: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bisection: Bisection[W] = Bisection(run, clock)
        self._deliver, self._is_at_hand, self._clock = deliver, is_at_hand, clock
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
    def longest(self) -> int:
        """The same, of the lane that has most."""
        with self._changed:
            return max((lane.rows for lane in self._lanes.values()), default=0)

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
            if may_serve and self._is_quick(lane) and not self._max_wait_s:
                return True
            if not self._called(lane):
                # No thread can be made, and there is none.
                lane.waiting.pop()
                del self._lanes[key]
                raise overloaded()
            return False

    def serve(self, keys: Sequence[Hashable]) -> list[Hashable]:
        """What waits in the lanes of `keys` is answered by the calling thread, which `submit` has asked for each.

        It is one batch of each, and all are handed on together. What would hold up the caller after all, or comes
        meanwhile, is left to threads. Returns the keys for which he is to call again.
        """
        quick: list[_Lane[W]] = []
        left: list[Hashable] = []
        with self._changed:
            expected_s = 0.0
            for lane in [self._lanes[key] for key in keys]:
                if not (self._is_quick(lane) and self._is_at_hand(lane.key)) and self._called(lane):
                    continue
                expected_s += self._expected_s(lane)
                if quick and expected_s > MOST_S:
                    left.append(lane.key)
                else:
                    quick.append(lane)
        taken = self._served_once(quick)
        with self._changed:
            return left + [lane.key for lane in taken if not (self._ended(lane) or self._called(lane))]

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

    def _expected_s(self, lane: _Lane[W]) -> float:
        return lane.rows * self._row_s.get(lane.key, QUICK_S)

    def _is_quick(self, lane: _Lane[W]) -> bool:
        return self._expected_s(lane) < QUICK_S

    def _called(self, lane: _Lane[W]) -> bool:
        # Whether a thread will serve it.
        if self._idle > len(self._unserved):
            self._changed.notify()
        elif self._threads < MAX_THREADS:
            try:
                threading.Thread(target=self._work, name="batch", daemon=True).start()
                self._threads += 1
            except RuntimeError:
                # The process may have no more. Those that there are come to it.
                if not self._threads:
                    return False
        self._unserved.append(lane)
        return True

    def _work(self) -> None:
        while (lane := self._next_lane()) is not None:
            while self._served_once([lane]):
                pass

    def _served_once(self, lanes: Sequence[_Lane[W]]) -> list[_Lane[W]]:
        # Those that had something to answer; the others are no longer served.
        taken = [(lane, batch) for lane in lanes if (batch := self._taken(lane))]
        for lane, batch in taken:
            self._answer(lane, batch)
        if taken:
            self._hand_on(taken)
        return [lane for lane, _ in taken]

    def _next_lane(self) -> _Lane[W] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._unserved or self._is_closed, IDLE_S)
            self._idle -= 1
            if self._unserved:
                return self._unserved.popleft()
            self._threads -= 1
            return None

    def _taken(self, lane: _Lane[W]) -> list[W]:
        # The next batch; [] when the lane is empty, and then it is no longer served.
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
            if not batch:
                self._ended(lane)
            return batch

    def _ended(self, lane: _Lane[W]) -> bool:
        # Whether nothing waits in it; then nobody serves it any more.
        if lane.waiting:
            return False
        lane.is_served = False
        del self._lanes[lane.key]
        if not self._lanes:
            self._emptied.notify_all()
        return True

    def _is_full(self, lane: _Lane[W]) -> bool:
        return sum(work.size for work in lane.waiting) >= self._max_batch

    def _answer(self, lane: _Lane[W], batch: list[W]) -> None:
        begun = self._clock()
        self._bisection.answer(lane.key, batch)
        rows = sum(work.size for work in batch)
        ran = begun, self._clock()
        self._learn(lane.key, (ran[1] - begun) / max(rows, 1))
        with self._changed:
            for work in batch:
                work.ran = ran
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
