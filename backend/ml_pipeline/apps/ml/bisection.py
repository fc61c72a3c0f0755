"""Bisection: a batch is answered at once or, where an algorithm fails on it, by halves: one row harms no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.ml.work import Work, share
from ml_pipeline.errors import (
    AlgorithmCrashed,
    AlgorithmFailed,
    AlgorithmNotReady,
    DeadlineExceeded,
    MLPipelineError,
)

# How long a replacement of a crashed algorithm is waited for before it is asked for again.
RESTART_POLL_S = 0.02

W = TypeVar("W", bound=Work)
Run = Callable[[Any, Records], Sequence[Prediction]]


class Bisection(Generic[W]):
    """Asks `run(key, rows)`, which may fail in any way; `clock` is that of the deadlines."""

    def __init__(self, run: Run, clock: Callable[[], float]) -> None:
        self._run, self._clock = run, clock

    def answer(self, key: Hashable, batch: Sequence[W], *, again: bool = False) -> None:
        """Each piece of `batch` has its predictions, or an error. Asked `again`, an algorithm's start is awaited."""
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
            self.answer(key, batch[:half], again=True)
            self.answer(key, batch[half:], again=True)
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
