"""From a training bundle to one that can serve: compiled, proven, with the runtime chosen and the reason kept."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from ml_pipeline.apps.ml import artifacts, compile
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

MAX_PARITY_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Registered:
    """What the record of an algorithm says of its bundle in the store."""

    digest: str
    source_digest: str
    runtime: str
    runtime_reason: str
    signature: dict[str, Any]
    metrics: dict[str, Any]
    parity: dict[str, Any] | None
    description: str
    code: str


def prepared(source: Bundle, store: ArtifactStore) -> Registered:
    """The training bundle `source`, made servable and stored. Raises InvalidArtifact when it cannot serve at all.

    Loads the bundle's pipeline, which runs its code: `source` must come from an origin that the operator trusts.
    """
    signature = source.signature
    family = artifacts.algorithm_class(str(source.manifest.get("algorithm")))
    files = {name: source.read(name) for name in source.files}
    pipeline = artifacts.load_pipeline(source)
    runtime = SklearnRuntime(pipeline, signature)
    native = family(signature, runtime)
    known = _known_rows(source)
    _refuse_unlike_pipeline(native, runtime, pipeline, known)
    model, proof, reason = _compiled(native, pipeline, known)
    if model is not None:
        files[artifacts.ONNX_MODEL] = model
    chosen = "onnx" if model is not None else "sklearn"
    manifest = {
        **{name: value for name, value in source.manifest.items() if name != "files"},
        "runtime": chosen,
        "runtime_reason": reason,
        "parity": proof.to_json() if proof else None,
        "source_digest": source.digest,
    }
    return Registered(
        digest=store.add(manifest, files),
        source_digest=source.digest,
        runtime=chosen,
        runtime_reason=reason,
        signature=signature.to_json(),
        metrics=dict(source.manifest.get("metrics") or {}),
        parity=manifest["parity"],
        description=str(source.manifest.get("description") or family.description),
        code=_code(family),
    )


def _known_rows(source: Bundle) -> list[dict[str, Any]]:
    sample = source.rows(artifacts.SAMPLE)
    if not sample:
        raise InvalidArtifact("The bundle's sample has no rows.")
    reference = source.rows(artifacts.REFERENCE) if artifacts.REFERENCE in source.files else []
    return sample + reference[:MAX_PARITY_ROWS]


def _refuse_unlike_pipeline(
    native: Algorithm, runtime: SklearnRuntime, pipeline: Any, known: list[dict[str, Any]]
) -> None:
    try:
        answers = native.compute_prediction(known)
    except AlgorithmFailed as error:
        raise InvalidArtifact(f"The pipeline fails on its own rows: {str(error.__cause__ or error)[:300]}") from error
    if native.signature.task == "regression" or not hasattr(pipeline, "predict"):
        return
    # A threshold of its own, say: what it calls its answer is not its most probable class.
    spoken = [str(label) for label in pipeline.predict(runtime.frame(native.preprocess(known)))]
    unlike = sum(answer.label != label for answer, label in zip(answers, spoken, strict=True))
    if unlike:
        raise InvalidArtifact(
            f"On {unlike} of {len(known)} rows the pipeline's predict gives another label than its most probable class."
        )


def _code(family: type[Algorithm]) -> str:
    try:
        return inspect.getsource(family)
    except (OSError, TypeError):
        return ""


def _compiled(
    native: Algorithm, pipeline: Any, known: list[dict[str, Any]]
) -> tuple[bytes | None, compile.Parity | None, str]:
    signature = native.signature
    try:
        model = compile.compiled(pipeline, signature)
        candidate = type(native)(signature, OnnxRuntime(model, signature))
        proof = compile.parity(native, candidate, compile.parity_rows(signature, known))
    except (compile.CannotCompile, InvalidArtifact) as error:
        return None, None, f"ONNX is not possible: {error}"
    except AlgorithmFailed as error:
        cause = f" ({str(error.__cause__)[:300]})" if error.__cause__ else ""
        return None, None, f"ONNX could not be proven equal: {error}{cause}"
    if not proof.holds:
        return (
            None,
            proof,
            (
                f"ONNX is not equal: {proof.labels_different} labels differ, "
                f"numbers by up to {proof.max_abs_difference:.2g} on {proof.rows} rows"
            ),
        )
    return model, proof, f"ONNX equals the pipeline on {proof.rows} rows"
