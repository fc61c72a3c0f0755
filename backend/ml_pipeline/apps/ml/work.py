"""Work: the rows of one call on their way through a batcher, and what has become of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.errors import AlgorithmFailed, MLPipelineError, Overloaded


class Stage(Enum):
    """Where a piece of work is."""

    WAITING = 1
    RUNNING = 2
    SETTLED = 3
    GIVEN_UP = 4


class Work:
    """The rows of one call; `deadline` is on the batcher's clock.

    Once settled it has `predictions` or an `error`; `is_asked` says whether the algorithm saw it.
    """

    __slots__ = ("deadline", "error", "is_asked", "predictions", "ran", "rows", "size", "stage")

    def __init__(self, rows: Records, deadline: float) -> None:
        self.rows, self.size = rows, len(rows)
        self.deadline = deadline
        self.stage = Stage.WAITING
        self.is_asked = False
        self.predictions: Sequence[Prediction] = ()
        self.error: MLPipelineError | None = None
        # When its batch began and ended, on the batcher's clock.
        self.ran: tuple[float, float] | None = None


def share(batch: Sequence[Work], predictions: Sequence[Prediction]) -> None:
    """Each piece gets its own of the predictions for all of their rows. Raises AlgorithmFailed for another number."""
    rows = sum(work.size for work in batch)
    if len(predictions) != rows:
        raise AlgorithmFailed(f"The algorithm returned {len(predictions)} answers for {rows} rows.")
    begin = 0
    for work in batch:
        work.predictions = predictions[begin : begin + work.size]
        begin += work.size


def overloaded() -> Overloaded:
    """The refusal of what comes on top of a full queue."""
    return Overloaded("Too many rows are under way; try again shortly.")
