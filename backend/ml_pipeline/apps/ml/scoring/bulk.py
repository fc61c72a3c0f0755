"""Bulk: an algorithm asked for a chunk at once, in arrays; a row on which it fails is found and the others answered."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.algorithm import Algorithm, Answers, Output, Prediction
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.runtimes import onnx
from ml_pipeline.apps.ml.runtimes.inputs import Input
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime, Reading
from ml_pipeline.apps.ml.scoring import graphs, validation
from ml_pipeline.apps.ml.scoring.graphs import Encoder
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.validation import Inputs, Texts
from ml_pipeline.apps.ml.signature import Columns
from ml_pipeline.errors import AlgorithmFailed

# So many rows of a chunk may make the algorithm fail, each found by asking again; with more the chunk fails.
MAX_FAILED = 100
TOLERANCE = 1e-6


class Interface(NamedTuple):
    """How a compiled model is fed and read."""

    inputs: Sequence[Input]
    reading: Reading
    output: str


class PartedRuntime:
    """A compiled model in parts (see `graphs`), which answers as the whole does and needs it no more."""

    name = "onnx"
    is_isolated = False

    def __init__(self, interface: Interface, parts: graphs.Parts) -> None:
        self._inputs, self._reading, self._output = interface
        self._encoders = parts.encoders
        self._matrix = parts.matrix or self._output
        self._front = onnx.session(parts.front)
        self._order = None if parts.order is None else onnx.session(parts.order)
        self._back = None if parts.back is None else onnx.session(parts.back)

    def predict(self, columns: Columns) -> Output:
        """What `OnnxRuntime.predict` returns."""
        return self.answers(validation.of_columns(columns))

    def answers(self, inputs: Inputs) -> Output:
        """As `predict`."""
        found: Any = self._front.run([self._matrix], self._fed(inputs))[0]
        if self._order is None or self._back is None:
            return self._reading.told(found)
        order = np.lexsort(self._order.run(None, {self._matrix: found})[0].T[::-1])
        in_order = self._back.run([self._output], {self._matrix: found[order]})[0]
        answers = np.empty_like(in_order)
        answers[order] = in_order
        return self._reading.told(answers)

    def close(self) -> None:
        """Nothing to do: the sessions go with their last user."""

    def _fed(self, inputs: Inputs) -> dict[str, Any]:
        fed = {}
        for one in self._inputs:
            encoder = self._encoders.get(one.name)
            if encoder is None:
                fed[one.name] = one.fed({feature.name: inputs.array(feature.name) for feature in one.features})
            else:
                numbers = _encoded(inputs.columns[one.features[0].name], encoder)
                fed[encoder.name] = numbers.reshape((-1,) if one.is_vector else (-1, 1))
        return fed


def _encoded(column: Any, encoder: Encoder) -> npt.NDArray[Any]:
    if not isinstance(column, Texts):
        raise TypeError("an encoder of texts is fed by a feature of text")
    numbers = [encoder.numbers.get(text, encoder.otherwise) for text in column.texts]
    return np.array(numbers, dtype=np.int64 if encoder.is_whole else np.float32)[column.codes]


class BulkAlgorithm:
    """`algorithm`, asked for many rows at once."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm

    def answers(self, inputs: Inputs) -> tuple[Answers, Places, Places]:
        """The answers to the rows that have one, which rows these are, and on which the algorithm fails.

        Raises AlgorithmFailed where it fails on too many.
        """
        whole = np.arange(inputs.rows, dtype=np.int64)
        parts: list[Answers] = []
        failed: list[int] = []
        waiting = [whole] if inputs.rows else []
        while waiting:
            places = waiting.pop()
            try:
                parts.append(self._answered(inputs if len(places) == inputs.rows else inputs.taken(places)))
            except AlgorithmFailed:
                if len(places) > 1:
                    waiting += [places[len(places) // 2 :], places[: len(places) // 2]]
                    continue
                failed += places.tolist()
                if len(failed) > MAX_FAILED:
                    raise
        return joined(parts), np.delete(whole, failed), np.array(failed, dtype=np.int64)

    def _answered(self, inputs: Inputs) -> Answers:
        algorithm = self.algorithm
        try:
            answers = self._asked(inputs)
        except AlgorithmFailed:
            raise
        # A model may raise anything; see `Algorithm.compute_prediction`.
        except Exception as error:
            raise AlgorithmFailed("The algorithm failed on this input.") from error
        found = next(one for one in (answers.places, answers.values) if one is not None)
        if len(found) != inputs.rows:
            raise AlgorithmFailed(f"{type(algorithm).__name__} returned {len(found)} answers for {inputs.rows} rows.")
        return answers

    def _asked(self, inputs: Inputs) -> Answers:
        algorithm, family = self.algorithm, type(self.algorithm)
        # A class that tells its answers by itself is asked as it is online.
        if family.postprocess is not Algorithm.postprocess or family.compute_prediction is not _COMPUTE:
            predictions = algorithm.compute_prediction(inputs.records(algorithm.signature))
            return of_predictions(predictions, algorithm.signature.labels)
        if family.preprocess is not Algorithm.preprocess:
            return algorithm.answers(algorithm.predict(algorithm.preprocess(inputs.records(algorithm.signature))))
        present = inputs.without(algorithm.missing)
        if isinstance(algorithm.runtime, PartedRuntime) and family.predict is Algorithm.predict:
            return algorithm.answers(algorithm.runtime.answers(present))
        return algorithm.answers(algorithm.predict(present.arrays()))


_COMPUTE = Algorithm.compute_prediction


def loaded(bundle: Bundle, runtime: str, trusted_keys: Sequence[str]) -> BulkAlgorithm:
    """The bundle's algorithm on `runtime`; a compiled model in parts where these answer the bundle's sample alike.

    Raises InvalidArtifact.
    """
    algorithm = loader.load_native(bundle, runtime, trusted_keys)
    whole = algorithm.runtime
    if not isinstance(whole, OnnxRuntime) or not whole.takes_many:
        return BulkAlgorithm(algorithm)
    family, interface = type(algorithm), Interface(whole.inputs, whole.reading, whole.output)
    columns = algorithm.preprocess(bundle.sample())
    expected = whole.predict(columns)
    # A model takes many times its size while it is loaded: one at a time.
    del algorithm, whole
    give_back()
    parts = graphs.parted(bundle.read(bundles.ONNX_MODEL), interface.output)
    parted = None if parts is None else _proven(interface, parts, columns, expected)
    if parted is None:
        return BulkAlgorithm(loader.load_native(bundle, runtime, trusted_keys))
    return BulkAlgorithm(family(bundle.signature, parted))


def _proven(interface: Interface, parts: graphs.Parts, columns: Columns, expected: Output) -> PartedRuntime | None:
    try:
        parted = PartedRuntime(interface, parts)
        found = parted.predict(columns)
    # Whatever ONNX Runtime has against a part, the whole model answers.
    except Exception:  # noqa: BLE001
        return None
    is_equal = expected.shape == found.shape and np.allclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE)
    return parted if is_equal else None


def give_back() -> None:
    """The system has what this process no longer uses of its memory, as far as that can be told."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def of_predictions(predictions: Sequence[Prediction], labels: tuple[str, ...]) -> Answers:
    """What the predictions say, as arrays. Raises AlgorithmFailed where one leaves out what others have."""
    if labels:
        try:
            places = [labels.index(str(one.label)) for one in predictions]
        except ValueError:
            raise AlgorithmFailed("The algorithm named no label of its own.") from None
        told = np.array([np.nan if one.probability is None else one.probability for one in predictions])
        has_all = all(one.probabilities is not None and len(one.probabilities) == len(labels) for one in predictions)
        every = np.array([one.probabilities for one in predictions]) if has_all and predictions else None
        return Answers(np.array(places, dtype=np.intp), told, every, None)
    if any(one.value is None for one in predictions):
        raise AlgorithmFailed("The algorithm returned no value.")
    return Answers(None, None, None, np.array([one.value for one in predictions], dtype=np.float64))


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*parts, strict=True) if parts else ((),) * 4
    together = [None if not its or its[0] is None else np.concatenate(its) for its in columns]
    return Answers(*together)
