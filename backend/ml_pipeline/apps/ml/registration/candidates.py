"""The ways in which a model could serve, tried and measured: as it came, and compiled to ONNX."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml import compile, onnx_models
from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

SIZES = (1, 1_000)
MEASURED_S = 0.4
MIN_RUNS = 3
LONGEST_S = 10.0
SINGLES = 8
# Beyond rounding: what is further from a distribution is no set of probabilities.
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of the attempt: the model and its algorithm, or None; the proof where there was one; the reason."""

    reason: str
    model: bytes | None = None
    algorithm: Algorithm | None = None
    parity: compile.Parity | None = None
    unbounded: Sequence[str] = ()

    @property
    def is_labelled_apart(self) -> bool:
        """Whether the probabilities are equal, and the labels of the pipeline's own predict are still others."""
        proof = self.parity
        return proof is not None and proof.labels_different > 0 and proof.max_abs_difference <= compile.TOLERANCE


def check_answers(algorithm: Algorithm, rows: Sequence[Row]) -> list[Prediction]:
    """What `algorithm` answers `rows`, when that is as a model should. Raises InvalidArtifact with what is wrong."""
    places = sorted({at * len(rows) // SINGLES for at in range(SINGLES)})
    try:
        alone = [algorithm.compute_prediction([rows[at]])[0] for at in places]
    except AlgorithmFailed as error:
        raise InvalidArtifact(failure(error)) from error
    answers = _together(algorithm, rows)
    if algorithm.signature.task == "classification":
        _check_probabilities(algorithm, rows, answers)
    truth, together = _numbers(alone), _numbers([answers[at] for at in places])
    # Values may be large: of these the part counts, as in the proof of parity.
    scale = np.maximum(1.0, np.abs(truth)) if algorithm.signature.task == "regression" else 1.0
    gap = float((np.abs(truth - together) / scale).max(initial=0.0))
    if gap > compile.TOLERANCE:
        raise InvalidArtifact(f"The model answers a row alone and among others differently, by {gap:.2g}.")
    return answers


def failure(error: AlgorithmFailed) -> str:
    """What an answer failed of, as a refusal says it."""
    return f"The model fails on its own rows: {str(error.__cause__ or error)[:300]}"


def seconds_a_row(algorithm: Algorithm, rows: Sequence[Row]) -> float:
    """How long each of `rows` takes, all at once, of which it answered the first alone. Raises InvalidArtifact."""
    begun = time.perf_counter()
    _together(algorithm, rows)
    return (time.perf_counter() - begun) / len(rows)


def _together(algorithm: Algorithm, rows: Sequence[Row]) -> list[Prediction]:
    try:
        return algorithm.compute_prediction(rows)
    except AlgorithmFailed as error:
        remedy = " Alone it answers a row: export it with a dynamic batch axis." if _is_onnx(algorithm) else ""
        raise InvalidArtifact(failure(error) + remedy) from error


def _check_probabilities(algorithm: Algorithm, rows: Sequence[Row], answers: Sequence[Prediction]) -> None:
    table = _numbers(answers)
    if table.min() < -SUM_TOLERANCE or np.abs(table.sum(axis=1) - 1.0).max() > SUM_TOLERANCE:
        raise InvalidArtifact(
            f"The model's output is no set of probabilities: {', '.join(f'{p:.3g}' for p in table[0])} for one row. "
            'If these are scores, say in the metadata: "output": {"activation": "softmax"}, or "sigmoid".'
        )
    # One more column is a label's place where a pipeline says so; of ONNX it is a class that the signature lacks.
    if _is_onnx(algorithm) and type(algorithm).postprocess is Algorithm.postprocess:
        width = algorithm.predict(algorithm.preprocess(rows[:1])).shape[1]
        if width != len(algorithm.signature.labels):
            raise InvalidArtifact(f"The model has {width} classes, its signature {len(algorithm.signature.labels)}.")


def _numbers(answers: Sequence[Prediction]) -> npt.NDArray[np.float64]:
    return np.array([(one.value,) if one.probabilities is None else one.probabilities for one in answers], np.float64)


def _is_onnx(algorithm: Algorithm) -> bool:
    return isinstance(algorithm.runtime, OnnxRuntime)


def naming_labels(native: Algorithm) -> Algorithm:
    """`native` with the labels that its pipeline's own predict gives; itself where there is none, or it decides."""
    runtime, family = native.runtime, type(native)
    is_plain = family.postprocess is Algorithm.postprocess and family.predict is Algorithm.predict
    if not isinstance(runtime, SklearnRuntime) or not is_plain or not hasattr(runtime.pipeline, "predict"):
        return native
    return native if native.signature.task == "regression" else family(native.signature, runtime.naming_labels())


def is_labelled_apart(native: Algorithm, answers: Sequence[Prediction]) -> bool:
    """Whether labels must be named: one of `answers`, with labels, or its kind is not labelled by probability."""
    if native.signature.task == "regression" or naming_labels(native) is native:
        return False
    labels = native.signature.labels
    places = _numbers(answers).argmax(axis=1)
    if any(one.label != labels[place] for one, place in zip(answers, places, strict=True)):
        return True
    assert isinstance(native.runtime, SklearnRuntime)  # noqa: S101  (nothing else can name them)
    last = _last(native.runtime.pipeline)
    # Platt's probabilities come from a second fit beside the decision; a threshold of its own is no probability of 1/2.
    return getattr(last, "probability", False) is True or type(last).__name__.endswith("ThresholdClassifier")


def _last(step: Any) -> Any:
    # What names the label, within what hands its answer on.
    while True:
        steps = getattr(step, "steps", None)
        inner = steps[-1][1] if steps else getattr(step, "best_estimator_", getattr(step, "final_estimator_", None))
        if inner is None:
            return step
        step = inner


def compiled(native: Algorithm, pipeline: Any, rows: Sequence[Row]) -> Compiled:
    """`native` in ONNX, if that is possible and proven equal on `rows` and jittered copies of them.

    Its labels are proven to be those of the pipeline's own predict.
    """
    signature = native.signature
    try:
        model = compile.compiled(pipeline, signature)
        parsed = onnx_models.parsed(model)
        onnx_models.refuse_malformed_trees(parsed)
        candidate = type(native)(signature, OnnxRuntime(model, signature))
        proof = compile.parity(naming_labels(native), candidate, compile.parity_rows(signature, rows))
    except (compile.CannotCompile, InvalidArtifact) as error:
        return Compiled(f"ONNX is not possible: {error}")
    except AlgorithmFailed as error:
        cause = f" ({str(error.__cause__)[:300]})" if error.__cause__ else ""
        return Compiled(f"ONNX could not be proven equal: {error}{cause}")
    if not proof.holds:
        reason = f"{proof.labels_different} labels differ, numbers by up to {proof.max_abs_difference:.2g}"
        return Compiled(f"ONNX is not equal: {reason} on {proof.rows} rows", parity=proof)
    unbounded = onnx_models.unbounded_operators(parsed)
    return Compiled(f"ONNX equals the pipeline on {proof.rows} rows", model, candidate, proof, unbounded)


def timings_us(algorithm: Algorithm, rows: Sequence[Row], row_s: float) -> dict[str, float]:
    """Microseconds a row at each of SIZES, the median of at least three runs, everything from rows to answers.

    A batch of a model that needs `row_s` seconds a row and is slow has fewer rows: as many as it answers in LONGEST_S.
    """
    result = {}
    for size in SIZES:
        rows_a_run = min(size, max(1, int(LONGEST_S / row_s)))
        batch = [rows[at % len(rows)] for at in range(rows_a_run)]
        algorithm.compute_prediction(batch)
        took: list[float] = []
        until = time.perf_counter() + MEASURED_S
        while len(took) < MIN_RUNS or time.perf_counter() < until:
            begun = time.perf_counter()
            algorithm.compute_prediction(batch)
            took.append(time.perf_counter() - begun)
        result[str(size)] = round(statistics.median(took) / rows_a_run * 1e6, 3)
    return result
