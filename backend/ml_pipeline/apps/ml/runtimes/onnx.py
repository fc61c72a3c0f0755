"""ONNX Runtime: what serves online. One thread a call: more would change last bits with the batch size."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Before it is imported: it would start a thread that sends what it measures to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns, Signature
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

_NUMERIC = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_FLOATS = frozenset({"tensor(float)", "tensor(double)", "tensor(float16)"})
ACTIVATIONS = ("softmax", "sigmoid")


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """Which output of a model answers (None: the last one of floats), and what makes probabilities of its scores."""

    name: str | None = None
    activation: str | None = None

    @classmethod
    def from_json(cls, document: Any) -> OutputChoice:
        """The choice in a manifest or upload; None is the default. Raises InvalidArtifact."""
        if document is None:
            return cls()
        known = isinstance(document, dict) and not set(document) - {"name", "activation"}
        if not known or document.get("activation") not in (None, *ACTIVATIONS):
            raise InvalidArtifact(
                f'`output` is {{"name": …, "activation": {" or ".join(ACTIVATIONS)}}}, both optional.'
            )
        name = document.get("name")
        return cls(None if name is None else str(name), document.get("activation"))

    def to_json(self) -> dict[str, str | None]:
        """The inverse of `from_json`."""
        return {"name": self.name, "activation": self.activation}


class OnnxRuntime:
    """A session over one model: an input a feature, of shape (n, 1) or (n,), or one matrix (n, features).

    Inputs are matched by name where all names are the features', else by position: converters rename inputs
    (`hours-per-week` becomes `hours_per_week`).
    """

    name = "onnx"
    is_isolated = False

    def __init__(self, model: bytes, signature: Signature, output: OutputChoice = OutputChoice()) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Errors come back as exceptions; ONNX Runtime would print them a second time.
        options.log_severity_level = 4
        # Never its own format, which it would find by some bytes within: what was checked is what runs.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # Of its many exceptions none is public; each means that this version cannot run this model.
        except Exception as error:
            raise InvalidArtifact(f"ONNX Runtime cannot load the model: {str(error)[:300]}") from error
        self._feed = _feeder(self._session.get_inputs(), signature)
        self._signature = signature
        self._activation = output.activation
        self._output = _chosen(self._session.get_outputs(), output.name)

    def predict(self, columns: Columns) -> Output:
        """Class probabilities of shape (n, labels), or values of shape (n, 1) or (n,)."""
        found = self._session.run([self._output], self._feed(columns))[0]
        if isinstance(found, list):
            return self._from_maps(found)
        output: Output = np.asarray(found)
        if self._signature.task == "regression":
            return output
        return _probabilities(output, self._activation, binary=len(self._signature.labels) == 2)

    def close(self) -> None:
        """Nothing to do: the session goes with its last user."""

    def _from_maps(self, found: list[Any]) -> Output:
        # A mapping a row from class to probability, which converters write unless told otherwise.
        named = [{str(label): p for label, p in row.items()} for row in found]
        try:
            return np.array([[row[label] for label in self._signature.labels] for row in named], dtype=np.float64)
        except KeyError as error:
            raise AlgorithmFailed(f"The model's output has no label {error}.") from error


def _feeder(nodes: list[Any], signature: Signature) -> Callable[[Columns], dict[str, Any]]:
    features = signature.features
    kinds = {feature.type == "string" for feature in features}
    if len(nodes) == 1 and len(features) > 1 and len(kinds) == 1:
        node, wanted = nodes[0], _type(nodes[0], next(iter(kinds)), "one matrix of all features")
        return lambda columns: {
            node.name: np.column_stack([columns[feature.name] for feature in features]).astype(wanted)
        }
    if len(nodes) != len(features):
        raise InvalidArtifact(f"The model has {len(nodes)} inputs, its signature {len(features)} features.")
    names = [feature.name for feature in features]
    if {node.name for node in nodes} == set(names):
        nodes = sorted(nodes, key=lambda node: names.index(node.name))
    inputs = []
    for feature, node in zip(features, nodes, strict=True):
        shape = (-1,) if len(node.shape) == 1 else (-1, 1)
        inputs.append((feature.name, node.name, _type(node, feature.type == "string", f"a {feature.type}"), shape))
    return lambda columns: {node: columns[name].astype(wanted).reshape(shape) for name, node, wanted, shape in inputs}


def _type(node: Any, is_string: bool, expected: str) -> type:
    wanted = object if is_string else _NUMERIC.get(node.type)
    if wanted is None or is_string != (node.type == "tensor(string)"):
        raise InvalidArtifact(f"The model's input {node.name} is {node.type}, the signature has {expected} for it.")
    return wanted


def _chosen(outputs: list[Any], name: str | None) -> str:
    usable = [one.name for one in outputs if one.type in _FLOATS or one.type.startswith("seq(map(")]
    if name is not None:
        usable = [one for one in usable if one == name]
    if not usable:
        had = ", ".join(f"{one.name}: {one.type}" for one in outputs)
        raise InvalidArtifact(f"The model has no output of numbers{f' called {name!r}' if name else ''}; it has {had}.")
    return str(usable[-1])


def _probabilities(scores: Output, activation: str | None, *, binary: bool) -> Output:
    if activation is not None:
        scores = scores.astype(np.float64)
    if activation == "softmax":
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores = powers / powers.sum(axis=-1, keepdims=True)
    elif activation == "sigmoid":
        # Never overflows, as exp(-x) would.
        scores = 0.5 * (1.0 + np.tanh(0.5 * scores))
    # One column of a binary model is the probability of the second label.
    if binary and (scores.ndim == 1 or scores.shape[1] == 1):
        positive = scores.reshape(-1)
        return np.stack([1.0 - positive, positive], axis=1)
    return scores
