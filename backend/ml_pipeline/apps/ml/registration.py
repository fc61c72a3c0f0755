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
from ml_pipeline.apps.ml.signature import Signature
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
    native = family(signature, SklearnRuntime(pipeline, signature))
    model, proof, reason = _compiled(native, pipeline, signature, source)
    if model is not None:
        files[artifacts.ONNX_MODEL] = model
    runtime = "onnx" if model is not None else "sklearn"
    manifest = {
        **{name: value for name, value in source.manifest.items() if name != "files"},
        "runtime": runtime,
        "runtime_reason": reason,
        "parity": proof.to_json() if proof else None,
        "source_digest": source.digest,
    }
    return Registered(
        digest=store.add(manifest, files),
        source_digest=source.digest,
        runtime=runtime,
        runtime_reason=reason,
        signature=signature.to_json(),
        metrics=dict(source.manifest.get("metrics") or {}),
        parity=manifest["parity"],
        description=family.description,
        code=inspect.getsource(family),
    )


def _compiled(
    native: Algorithm, pipeline: Any, signature: Signature, source: Bundle
) -> tuple[bytes | None, compile.Parity | None, str]:
    known = source.rows(artifacts.SAMPLE)
    if artifacts.REFERENCE in source.files:
        known = known + source.rows(artifacts.REFERENCE)[:MAX_PARITY_ROWS]
    if not known:
        raise InvalidArtifact("The bundle's sample has no rows.")
    try:
        native.compute_prediction(known[:1])
    except AlgorithmFailed as error:
        raise InvalidArtifact(f"The pipeline fails on its own sample: {error.__cause__ or error}") from error
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
