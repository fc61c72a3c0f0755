"""What tests of the MicroBatcher share: work, an algorithm that waits until it is let go, and whoever is told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.batching import MicroBatcher
from ml_pipeline.apps.ml.bisection import Run
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.work import Stage, Work

# Never waited for where all is well.
PATIENCE_S = 30.0


def work(*values: Any, deadline: float = math.inf) -> Work:
    """A call with a row for each of `values`."""
    return Work(Records(("x",), [(value,) for value in values]), deadline)


def answers(piece: Work) -> list[float | None]:
    """What `piece` was answered."""
    assert piece.error is None, piece.error
    return [prediction.value for prediction in piece.predictions]


class Hold:
    """One call of an algorithm that is kept waiting."""

    def __init__(self) -> None:
        self.is_entered, self.may_go = threading.Event(), threading.Event()

    def reached(self) -> None:
        """The algorithm has been called."""
        assert self.is_entered.wait(PATIENCE_S)

    def release(self) -> None:
        """The call goes on."""
        self.may_go.set()


class Doubling:
    """Answers x with 2x, after `act(values)`. `asked` has the key and the values of each call, `threads` its thread."""

    def __init__(self, act: Callable[[list[Any]], None] = lambda values: None) -> None:
        self.asked: list[tuple[Hashable, list[Any]]] = []
        self.threads: list[threading.Thread] = []
        self.act = act
        self._holds: dict[Hashable, Hold] = {}

    def hold(self, key: Hashable) -> Hold:
        """The next call for `key` waits for this."""
        self._holds[key] = Hold()
        return self._holds[key]

    def __call__(self, key: Hashable, rows: Records) -> Sequence[Prediction]:
        values = [row["x"] for row in rows]
        self.threads.append(threading.current_thread())
        self.asked.append((key, values))
        hold = self._holds.pop(key, None)
        if hold is not None:
            hold.is_entered.set()
            assert hold.may_go.wait(PATIENCE_S)
        self.act(values)
        return [Prediction(None, None, None, 2 * value) for value in values]


class Told:
    """Is told of answers: `batches` are those that were delivered, `stages` what their pieces were by then."""

    def __init__(self) -> None:
        self.batches: list[list[Work]] = []
        self.stages: dict[int, Stage] = {}
        self._changed = threading.Condition()

    def __call__(self, batch: Sequence[Work]) -> None:
        with self._changed:
            self.batches.append(list(batch))
            self.stages |= {id(piece): piece.stage for piece in batch}
            self._changed.notify_all()

    def has(self, *pieces: Work) -> None:
        """All `pieces` have been delivered, which is awaited."""
        with self._changed:
            assert self._changed.wait_for(lambda: all(id(piece) in self.stages for piece in pieces), PATIENCE_S)

    def stage(self, piece: Work) -> Stage | None:
        """What `piece` was when it was delivered; None when it was not."""
        return self.stages.get(id(piece))


def batcher(run: Run, deliver: Callable[[Sequence[Work]], None], **changes: Any) -> MicroBatcher[Work]:
    """A batcher with much room, but for `changes`."""
    return MicroBatcher(run, deliver, **{"max_batch": 100, "max_wait_us": 0, "queue_rows": 1000, **changes})


def together(batches: MicroBatcher[Work], run: Doubling, *pieces: Work, key: Hashable = "a") -> None:
    """`pieces` make one batch: they gather while a piece before them is answered."""
    hold = run.hold(key)
    batches.submit(key, work(0))
    hold.reached()
    for piece in pieces:
        batches.submit(key, piece)
    hold.release()
