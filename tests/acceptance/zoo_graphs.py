"""ONNX models of every kind, each as it is uploaded and what it answers by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from zoo import Kind
from zoo_data import ASKED, mixed, wines

WORDS = ["barolo", "grignolino", "barbera"]
OPSETS = [helper.make_opsetid("", 18)]


def declared(features: dict[str, str], task: str, labels: list[str] | None = None) -> dict[str, Any]:
    """A signature as it is declared in the metadata."""
    return {
        "features": [{"name": name, "type": kind} for name, kind in features.items()],
        "task": task,
        "labels": labels or [],
    }


def serialised(nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: np.ndarray) -> bytes:
    """A model of those nodes."""
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    return bytes(helper.make_model(graph, opset_imports=OPSETS, ir_version=9).SerializeToString())


def floats(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def linear(outputs: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    """The graph that a linear layer is exported as, a float matrix to scores; its weights and its bias."""
    random = np.random.default_rng(0)
    frame, _ = wines()
    weights = (random.normal(size=(outputs, 13)) / frame.std().to_numpy()).astype(np.float32)
    bias = (-weights @ frame.mean().to_numpy()).astype(np.float32)
    gemm = helper.make_node("Gemm", ["x", "weight", "bias"], ["linear"], transB=1)
    model = serialised(
        [gemm], [floats("x", "batch", 13)], [floats("linear", "batch", outputs)], weight=weights, bias=bias
    )
    return model, weights, bias


def by_hand() -> list[Kind]:
    """A regression with a declared signature and no sample, and inputs in another order than the signature's."""
    asked = pd.DataFrame({"width": [1.0, 2.5, -3.0], "height": [4.0, 0.25, 1.5]})
    area = serialised(
        [helper.make_node("Mul", ["w", "h"], ["area"])],
        [floats("w", "n", 1), floats("h", "n", 1)],
        [floats("area", "n", 1)],
    )
    ratio = serialised(
        [helper.make_node("Div", ["width", "height"], ["ratio"])],
        [floats("height", "n", 1), floats("width", "n", 1)],
        [floats("ratio", "n", 1)],
    )
    signature = declared({"width": "number", "height": "number"}, "regression")
    return [
        Kind("area", area, "onnx", asked, asked.width * asked.height, metadata={"signature": signature}),
        Kind("ratio", ratio, "onnx", asked, asked.width / asked.height, metadata={"signature": signature}),
    ]


def exported() -> list[Kind]:
    """Layers as PyTorch exports them: scores that an activation makes probabilities of."""
    asked = wines()[0].iloc[::3]
    signature = dict.fromkeys(asked, "number")
    model, weights, bias = linear(3)
    scores = asked.to_numpy() @ weights.T.astype(float) + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    several = powers / powers.sum(axis=1, keepdims=True)
    binary, weights, bias = linear(1)
    yes = 1 / (1 + np.exp(-(asked.to_numpy() @ weights.T.astype(float) + bias)))
    softmax = {"signature": declared(signature, "classification", WORDS), "output": {"activation": "softmax"}}
    sigmoid = {"signature": declared(signature, "classification", ["no", "yes"]), "output": {"activation": "sigmoid"}}
    return [
        Kind("softmax", model, "onnx", asked, _labelled(several, WORDS), metadata=softmax),
        Kind("sigmoid", binary, "onnx", asked, _labelled(np.hstack([1 - yes, yes]), ["no", "yes"]), metadata=sigmoid),
    ]


def converted() -> list[Kind]:
    """What skl2onnx writes unless told otherwise: a mapping a row; with integer classes and with words."""
    frame, target = wines()
    asked = frame.iloc[::3]
    matrix = frame.to_numpy(dtype=np.float32)
    kinds = []
    for name, classes in {"zipmap_words": np.array(WORDS)[target], "zipmap_integers": target}.items():
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, classes)
        labels = [str(one) for one in model.classes_]
        given = asked.to_numpy(dtype=np.float32)
        truth = [str(one) for one in model.predict(given)], model.predict_proba(given)
        content = to_onnx(model, matrix[:1]).SerializeToString()
        metadata = {"labels": labels, "task": "classification"}
        kinds.append(Kind(name, content, "onnx", asked, truth, sample=asked, metadata=metadata))
    return [*kinds, _mixed()]


def _mixed() -> Kind:
    # An input a column: int64, float and strings.
    frame, words = mixed()
    frame = frame.drop(columns="is_member")
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), (StandardScaler(), ["visits", "spent"])
    )
    model = make_pipeline(encoder, LogisticRegression()).fit(frame.astype({"spent": np.float32}), words)
    content = to_onnx(model, frame.astype({"spent": np.float32})[:1]).SerializeToString()
    assert {one.type.tensor_type.elem_type for one in onnx.load_from_string(content).graph.input} == {
        TensorProto.INT64,
        TensorProto.FLOAT,
        TensorProto.STRING,
    }
    asked = frame.tail(ASKED)
    truth = list(model.predict(asked)), model.predict_proba(asked)
    return Kind(
        "converted_mixed", content, "onnx", asked, truth, sample=asked, metadata={"labels": list(model.classes_)}
    )


def _labelled(probabilities: np.ndarray, labels: list[str]) -> tuple[list[str], np.ndarray]:
    return [labels[top] for top in probabilities.argmax(axis=1)], probabilities
