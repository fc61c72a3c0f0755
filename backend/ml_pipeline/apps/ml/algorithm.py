"""Algorithm: the strategy every served model follows: preprocess, predict, postprocess.

Subclass it to change a step; name the class by an entry point in the group `ml_pipeline.algorithms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.decoding import RowDecoder
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.signature import Columns, Signature
from ml_pipeline.errors import AlgorithmFailed, AlgorithmNotReady, DeadlineExceeded

Output: TypeAlias = npt.NDArray[np.floating[Any]]


class Runtime(Protocol):
    """What executes the predict step of one model; `is_isolated` where it does so in a process of its own."""

    @property
    def name(self) -> str:
        """`onnx`, `sklearn` or `python`."""
        ...

    @property
    def is_isolated(self) -> bool:
        """Whether the predict step runs in a child process, which then has the algorithm's class too."""
        ...

    def predict(self, columns: Columns) -> Output:
        """Shape (n, labels): class probabilities; shape (n,) or (n, 1): regression values.

        Shape (n, labels + 1): where a model's label is not its most probable class, the label's place comes last.
        """
        ...

    def close(self) -> None:
        """The runtime is used no more."""
        ...


class Prediction(NamedTuple):
    """The answer for one row: label and probabilities (in the signature's order) or, in regression, a value."""

    label: str | None
    probability: float | None
    probabilities: tuple[float, ...] | None
    value: float | None


class Answers(NamedTuple):
    """The answers for many rows as arrays: of each row the place of its label in the signature and its probability.

    Probabilities are of shape (n, labels). Regression has values alone, classification has none.
    """

    places: npt.NDArray[np.intp] | None
    probability: Output | None
    probabilities: Output | None
    values: Output | None


class Algorithm:
    """A model with its signature. Stateless between calls and safe to share between threads.

    `missing` are texts which say, in any feature of text, that the value is missing.
    """

    description = "A model served as it was trained."
    missing: frozenset[str] = frozenset()

    def __init__(self, signature: Signature, runtime: Runtime) -> None:
        self.signature = signature
        self.runtime = runtime

    @cached_property
    def decoder(self) -> RowDecoder:
        """What reads ordinary JSON bodies of its rows."""
        return RowDecoder(self.signature)

    def preprocess(self, rows: Sequence[Row]) -> Columns:
        """Validated rows as columns (see `Signature.columns`). The rows are not changed."""
        columns = self.signature.columns(rows)
        for text in self.missing:
            for name, column in columns.items():
                if column.dtype == object and text in column.tolist():
                    columns[name] = np.where(column == text, "", column)
        return columns

    def predict(self, columns: Columns) -> Output:
        """The runtime's output for `columns`."""
        return self.runtime.predict(columns)

    def postprocess(self, output: Output) -> list[Prediction]:
        """One Prediction a row. Raises AlgorithmFailed as `answers` does."""
        answers = self.answers(output)
        if answers.places is None or answers.probabilities is None:
            return [Prediction(None, None, None, float(value)) for value in output.reshape(-1)]
        labels, binary = self.signature.labels, len(self.signature.labels) == 2
        return [
            Prediction(labels[place], row[1] if binary else row[place], tuple(row), None)
            for place, row in zip(answers.places.tolist(), answers.probabilities.tolist(), strict=True)
        ]

    def answers(self, output: Output) -> Answers:
        """What the output says of each row, before it is told in Predictions.

        Raises AlgorithmFailed for NaN, infinity or a shape that does not fit the signature.
        """
        if not np.isfinite(output).all():
            raise AlgorithmFailed("The algorithm returned a value that is not a finite number.")
        if self.signature.task == "regression":
            if output.shape not in {(len(output),), (len(output), 1)}:
                raise AlgorithmFailed(f"The algorithm returned shape {output.shape} for one value a row.")
            return Answers(None, None, None, output.reshape(-1))
        labels = self.signature.labels
        if output.ndim != 2 or output.shape[1] not in (len(labels), len(labels) + 1):
            raise AlgorithmFailed(f"The algorithm returned shape {output.shape} for {len(labels)} labels.")
        probabilities = output[:, : len(labels)]
        places = probabilities.argmax(axis=1) if probabilities.shape == output.shape else _named(output, len(labels))
        told = probabilities[:, 1] if len(labels) == 2 else probabilities[np.arange(len(places)), places]
        return Answers(places, told, probabilities, None)

    def compute_prediction(self, rows: Sequence[Row]) -> list[Prediction]:
        """One Prediction for each of `rows`, in order.

        Raises AlgorithmFailed whatever went wrong inside, and for a predict step in a process of its own
        DeadlineExceeded and AlgorithmNotReady.
        """
        # Where the predict step runs elsewhere, this class's own step runs there too.
        step = self.runtime.predict if self.runtime.is_isolated else self.predict
        try:
            predictions = self.postprocess(step(self.preprocess(rows)))
        except (AlgorithmFailed, AlgorithmNotReady, DeadlineExceeded):
            raise
        # A model may raise anything; for the caller it is one fact, and the cause goes to the log with the chain.
        except Exception as error:
            raise AlgorithmFailed("The algorithm failed on this input.") from error
        if len(predictions) != len(rows):
            raise AlgorithmFailed(f"The algorithm returned {len(predictions)} answers for {len(rows)} rows.")
        if type(self).postprocess is not Algorithm.postprocess:
            for prediction in predictions:
                self._check(prediction)
        return predictions

    def _check(self, prediction: Prediction) -> None:
        # What a class of one's own makes is told and logged with that of others, whom it must not harm.
        if prediction.label is not None and prediction.label not in self.signature.labels:
            raise AlgorithmFailed(f"The algorithm named the label {prediction.label!r:.60}, which is none of its own.")
        numbers = (prediction.probability, prediction.value, *(prediction.probabilities or ()))
        if not all(number is None or (isinstance(number, float | int) and isfinite(number)) for number in numbers):
            raise AlgorithmFailed("The algorithm returned a value that is not a finite number.")


def _named(output: Output, labels: int) -> npt.NDArray[np.intp]:
    places = output[:, -1]
    if not np.isin(places, range(labels)).all():
        raise AlgorithmFailed(f"The algorithm named a label that is none of the {labels}.")
    return places.astype(np.intp)
