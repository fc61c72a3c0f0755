"""ONNX Runtime: what serves online. One thread a call: more would change last bits with the batch size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns, Signature
from ml_pipeline.errors import InvalidArtifact

_NUMERIC = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


class OnnxRuntime:
    """A session over one model whose inputs are the signature's features, in order, each of shape (n, 1).

    Converters rename inputs (`hours-per-week` becomes `hours_per_week`), so inputs are matched by position.
    """

    name = "onnx"

    def __init__(self, model: bytes, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Errors come back as exceptions; ONNX Runtime would print them a second time.
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # Of its many exceptions none is public; each means that this version cannot run this model.
        except Exception as error:
            raise InvalidArtifact(f"ONNX Runtime cannot load the model: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != len(signature.features):
            raise InvalidArtifact(
                f"The model has {len(inputs)} inputs, its signature {len(signature.features)} features."
            )
        self._inputs: list[tuple[str, str, type]] = []
        for feature, node in zip(signature.features, inputs, strict=True):
            wanted = object if feature.type == "string" else _NUMERIC.get(node.type)
            if wanted is None or (feature.type == "string") != (node.type == "tensor(string)"):
                raise InvalidArtifact(f"The model's input {node.name} is {node.type}, the feature a {feature.type}.")
            self._inputs.append((feature.name, node.name, wanted))
        self._output = self._session.get_outputs()[-1].name

    def predict(self, columns: Columns) -> Output:
        """Class probabilities of shape (n, labels), or values of shape (n, 1), as float32."""
        feed: dict[str, Any] = {
            node: columns[name].astype(wanted).reshape(-1, 1) for name, node, wanted in self._inputs
        }
        output: Output = self._session.run([self._output], feed)[0]
        return output
