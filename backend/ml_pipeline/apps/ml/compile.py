"""From a fitted scikit-learn pipeline to ONNX, with a proof that both answer alike.

Compiling is an optimisation that must not be seen: when a pipeline has no converter, depends on a locale, or answers
differently after conversion, the reason is returned and the pipeline is served natively.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml_pipeline.apps.ml import boosting
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.signature import Feature, Signature

TOLERANCE = 1e-5
MIN_PARITY_ROWS = 2_000
# An operator whose result depends on the locales installed on the machine that serves.
_LOCALE_OPERATORS = frozenset({"StringNormalizer"})


class CannotCompile(Exception):
    """The pipeline has no equal in ONNX; the message says why."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two algorithms agree on `rows` rows; equal when no label differs and no number by more than 1e-5."""

    rows: int
    labels_different: int
    max_abs_difference: float

    @property
    def holds(self) -> bool:
        """Whether the second may stand in for the first."""
        return self.labels_different == 0 and self.max_abs_difference <= TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """The proof as it stands in the manifest."""
        return {**asdict(self), "tolerance": TOLERANCE, "holds": self.holds}


def compiled(pipeline: Any, signature: Signature) -> bytes:
    """`pipeline` as an ONNX model whose inputs are the signature's features in order, each (n, 1).

    Raises CannotCompile with the converter's reason.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = [
        (feature.name, StringTensorType([None, 1]) if feature.type == "string" else FloatTensorType([None, 1]))
        for feature in signature.features
    ]
    options = {"zipmap": False} if signature.task == "classification" else None
    try:
        _refuse_mixed(pipeline, signature)
        opset = boosting.OPSET if boosting.is_in(pipeline) else None
        pipeline = boosting.convertible(pipeline)
        final = _final(pipeline)
        if _needs_joining(pipeline, signature):
            pipeline = _joining(pipeline)
        model = to_onnx(
            pipeline,
            initial_types=types,
            options={id(final): options} if options else None,
            target_opset=opset,
        )
    except CannotCompile:
        raise
    # Converters raise whatever their libraries raise; each means "no converter for this pipeline".
    except Exception as error:
        first_line = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise CannotCompile(f"{type(error).__name__}: {first_line[:300]}") from error
    local = sorted({node.op_type for node in model.graph.node} & _LOCALE_OPERATORS)
    if local:
        raise CannotCompile(f"the compiled model depends on the machine's locale ({', '.join(local)})")
    # Their order depends on what was converted before in this process; the digest must not.
    imports = sorted(model.opset_import, key=lambda one: str(one.domain))
    del model.opset_import[:]
    model.opset_import.extend(imports)
    return bytes(model.SerializeToString(deterministic=True))


def _refuse_mixed(pipeline: Any, signature: Signature) -> None:
    if not hasattr(pipeline, "steps") and len({feature.type == "string" for feature in signature.features}) > 1:
        raise CannotCompile("the model takes texts and numbers side by side, which no input of ONNX does")


def _final(pipeline: Any) -> Any:
    return pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline


def _needs_joining(pipeline: Any, signature: Signature) -> bool:
    # A bare estimator has one input in ONNX, and some first steps take the first of several for all of them.
    if not hasattr(pipeline, "steps"):
        return len(signature.features) > 1
    first, are_numbers = pipeline.steps[0][1], all(feature.type != "string" for feature in signature.features)
    return len(signature.features) > 1 and are_numbers and not hasattr(first, "transformers_")


def _joining(pipeline: Any) -> Any:
    # All features side by side.
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    steps = pipeline.steps if hasattr(pipeline, "steps") else [("estimator", pipeline)]
    return Pipeline([("features side by side", FunctionTransformer()), *steps])


def parity(reference: Algorithm, candidate: Algorithm, rows: Sequence[Row]) -> Parity:
    """How far `candidate` agrees with `reference` on `rows`. Raises AlgorithmFailed when one of them fails."""
    expected = reference.compute_prediction(rows)
    actual = candidate.compute_prediction(rows)
    if reference.signature.task == "regression":
        truth = np.array([one.value for one in expected], dtype=np.float64)
        gaps = np.abs(np.array([one.value for one in actual], dtype=np.float64) - truth) / np.maximum(
            1.0, np.abs(truth)
        )
    else:
        gaps = np.abs(
            np.array([one.probabilities or () for one in actual])
            - np.array([one.probabilities or () for one in expected])
        )
    return Parity(
        rows=len(rows),
        labels_different=sum(one.label != other.label for one, other in zip(expected, actual, strict=True)),
        max_abs_difference=float(gaps.max(initial=0.0)),
    )


def parity_rows(signature: Signature, rows: Sequence[Row], *, seed: int = 0) -> list[dict[str, Any]]:
    """The rows that parity is proven on: `rows` and jittered copies, at least 2,000 in all, a tenth of them jittered.

    A jittered copy takes each value from a random row, moves a quarter of the numbers, and now and then holds a missing
    value where the signature allows one, a category never seen, or a word with an accent or a no-break space, which
    ONNX splits in other places. Of a closed feature it holds any of the categories instead.
    """
    random = np.random.default_rng(seed)
    copies = max(MIN_PARITY_ROWS - len(rows), len(rows) // 10)
    return [dict(row) for row in rows] + [_jittered(signature, rows, random) for _ in range(copies)]


def _jittered(signature: Signature, rows: Sequence[Row], random: np.random.Generator) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for feature in signature.features:
        value = rows[int(random.integers(len(rows)))][feature.name]
        dice = random.random()
        if dice < 0.05 and feature.nullable:
            value = None
        elif feature.is_closed:
            value = _category(feature, random) if dice < 0.25 else value
        elif dice < 0.10 and feature.type == "string" and feature.categories:
            value = f"never seen {random.integers(1_000)}"
        elif dice < 0.20 and feature.type == "string" and value:
            value = _accented(str(value), random)
        elif dice < 0.25 and value is not None and feature.type == "integer":
            value = int(value) + int(random.integers(-3, 4))
        elif dice < 0.25 and value is not None and feature.type == "number":
            value = float(value) * (1.0 + random.normal() / 20)
        copy[feature.name] = value
    return copy


def _category(feature: Feature, random: np.random.Generator) -> str | int:
    # Of those in the model's encoder, too, that no row has.
    category = feature.categories[int(random.integers(len(feature.categories)))]
    return int(category) if feature.type == "integer" else category


def _accented(text: str, random: np.random.Generator) -> str:
    words = text.split(" ")
    place = int(random.integers(len(words)))
    # An accent within a word, or a space that only some call a space.
    words[place] = f"{words[place]}é" if random.random() < 0.5 else f"{words[place]}\u00a0{words[place]}"
    return " ".join(words)
