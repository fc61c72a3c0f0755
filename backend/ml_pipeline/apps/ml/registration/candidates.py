"""The ways in which a model could serve, tried and measured: as it came, and compiled to ONNX."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_pipeline.apps.ml import compile, onnx_models
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.apps.ml.signature import Row
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

SIZES = (1, 1_000)
MEASURED_S = 0.4
MIN_RUNS = 3
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


def check_answers(algorithm: Algorithm, rows: Sequence[Row]) -> None:
    """Returns when `algorithm` answers `rows` as a model should. Raises InvalidArtifact with what is wrong."""
    try:
        answers = algorithm.compute_prediction(rows)
        alone = [algorithm.compute_prediction([row])[0] for row in rows[:SINGLES]]
    except AlgorithmFailed as error:
        raise InvalidArtifact(f"The model fails on its own rows: {str(error.__cause__ or error)[:300]}") from error
    if algorithm.signature.task == "regression":
        return
    table = np.array([answer.probabilities for answer in answers])
    if table.min() < -SUM_TOLERANCE or np.abs(table.sum(axis=1) - 1.0).max() > SUM_TOLERANCE:
        raise InvalidArtifact(
            f"The model's output is no set of probabilities: {', '.join(f'{p:.3g}' for p in table[0])} for one row. "
            'If these are scores, say in the metadata: "output": {"activation": "softmax"}, or "sigmoid".'
        )
    together = table[: len(alone)]
    gap = float(np.abs(np.array([answer.probabilities for answer in alone]) - together).max(initial=0.0))
    if gap > compile.TOLERANCE:
        raise InvalidArtifact(f"The model answers a row alone and among others differently, by {gap:.2g}.")


def refuse_unlike_pipeline(algorithm: Algorithm, runtime: SklearnRuntime, rows: Sequence[Row]) -> None:
    """Raises InvalidArtifact where the pipeline's own predict gives another label than its most probable class."""
    pipeline = runtime.pipeline
    if algorithm.signature.task == "regression" or not hasattr(pipeline, "predict"):
        return
    # A threshold of its own, say: what it calls its answer is not its most probable class.
    named = dict(zip([str(one) for one in pipeline.classes_], algorithm.signature.labels, strict=True))
    spoken = [named.get(str(one)) for one in pipeline.predict(runtime.given(algorithm.preprocess(rows)))]
    answers = algorithm.compute_prediction(rows)
    unlike = sum(answer.label != label for answer, label in zip(answers, spoken, strict=True))
    if unlike:
        raise InvalidArtifact(
            f"On {unlike} of {len(rows)} rows the pipeline's predict gives another label than its most probable class."
        )


def compiled(native: Algorithm, pipeline: Any, rows: Sequence[Row]) -> Compiled:
    """`native` in ONNX, if that is possible and proven equal on `rows` and jittered copies of them."""
    signature = native.signature
    try:
        model = compile.compiled(pipeline, signature)
        parsed = onnx_models.parsed(model)
        onnx_models.refuse_malformed_trees(parsed)
        candidate = type(native)(signature, OnnxRuntime(model, signature))
        proof = compile.parity(native, candidate, compile.parity_rows(signature, rows))
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


def timings_us(algorithm: Algorithm, rows: Sequence[Row]) -> dict[str, float]:
    """Microseconds a row at each of SIZES, the median of at least three runs, everything from rows to answers."""
    result = {}
    for size in SIZES:
        batch = [rows[at % len(rows)] for at in range(size)]
        algorithm.compute_prediction(batch)
        took: list[float] = []
        until = time.perf_counter() + MEASURED_S
        while len(took) < MIN_RUNS or time.perf_counter() < until:
            begun = time.perf_counter()
            algorithm.compute_prediction(batch)
            took.append(time.perf_counter() - begun)
        result[str(size)] = round(statistics.median(took) / size * 1e6, 3)
    return result
