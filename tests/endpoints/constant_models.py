"""Three tiny ONNX models, each with an answer of its own whatever it is asked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.artifacts import ArtifactStore

# What each says of "yes"; exact in binary, so that no float has to be compared about.
PROBABILITIES = (0.125, 0.25, 0.5)
SIGNATURE = {
    "features": [{"name": "x", "type": "number", "nullable": False, "categories": []}],
    "task": "classification",
    "labels": ["no", "yes"],
}


def add_three(store: ArtifactStore) -> list[str]:
    """The digests of the three models, in `store` now, in the order of PROBABILITIES."""
    manifest = {"name": "constant", "algorithm": "pipeline", "runtime": "onnx", "signature": SIGNATURE}
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for probability in PROBABILITIES:
            files = {bundles.ONNX_MODEL: _constant(probability), bundles.SAMPLE: b'[{"x": 1.0}]'}
            bundle = bundles.write_bundle(Path(folder) / str(probability), manifest, files)
            store.add(bundle)
            digests.append(bundle.digest)
    return digests


def _constant(probability: float) -> bytes:
    # x (n, 1) times a row of zeros, plus the answer: an answer a row.
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, (1, 2), (0, 0))
    answer = helper.make_tensor("answer", TensorProto.FLOAT, (2,), (1 - probability, probability))
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "zeros", "answer"], ["probabilities"])],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, 1))],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, (None, 2))],
        [zeros, answer],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
