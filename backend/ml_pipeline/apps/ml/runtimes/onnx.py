"""ONNX Runtime: what serves online. One thread a call: more would change last bits with the batch size."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Before it is imported: it would start a thread that sends what it measures to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.runtimes import inputs
from ml_pipeline.apps.ml.signature import Columns, Signature, Task
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

# Rows of one call. What costs more with each row beside it is held to what it cost when it was measured.
MOST_ROWS = 1_000
_FLOATS = ("tensor(float", "tensor(double)")
_INTEGERS = ("tensor(int", "tensor(uint")
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What the numbers of a model's output say."""

    signature: Signature
    activation: str | None

    def told(self, found: Any) -> Output:
        """Class probabilities of shape (n, labels), or values of shape (n, 1) or (n,)."""
        if isinstance(found, list):
            return self._from_maps(found)
        output: Output = np.asarray(found)
        if self.signature.task == "regression":
            return output if output.dtype.kind == "f" else output.astype(np.float64)
        return _probabilities(output, self.activation, binary=len(self.signature.labels) == 2)

    def _from_maps(self, found: list[Any]) -> Output:
        # A mapping a row from class to probability, which converters write unless told otherwise.
        named = [{str(label): p for label, p in row.items()} for row in found]
        try:
            return np.array([[row[label] for label in self.signature.labels] for row in named], dtype=np.float64)
        except KeyError as error:
            raise AlgorithmFailed(f"The model's output has no label {error}.") from error


class OnnxRuntime:
    """A session over one model: an input a feature, of shape (n, 1) or (n,), or matrices of several (see `inputs`).

    It is asked for at most MOST_ROWS rows at once, and row by row where it was exported for one.
    """

    name = "onnx"
    is_isolated = False

    def __init__(self, model: bytes, signature: Signature, output: OutputChoice = OutputChoice()) -> None:
        self._session = session(model)
        nodes = self._session.get_inputs()
        self._most_rows = inputs.batch_size(nodes) or MOST_ROWS
        self.inputs = inputs.matched(nodes, signature)
        self._signature = signature
        self.reading = Reading(signature, output.activation)
        self.output = _chosen(self._session.get_outputs(), output.name, signature.task)

    def refuse_inexact(self) -> None:
        """Raises InvalidArtifact where a row of the signature may hold what an input of the model cannot."""
        for one in self.inputs:
            one.refuse_inexact()

    def bounded(self) -> Signature:
        """The signature, its numbers with the bounds of what the model's inputs hold."""
        bounded = {feature.name: feature for one in self.inputs for feature in one.bounded()}
        features = tuple(bounded[feature.name] for feature in self._signature.features)
        return replace(self._signature, features=features)

    @property
    def takes_many(self) -> bool:
        """Whether it takes more than one row at once."""
        return self._most_rows > 1

    def predict(self, columns: Columns) -> Output:
        """Class probabilities of shape (n, labels), or values of shape (n, 1) or (n,)."""
        fed = {one.name: one.fed(columns) for one in self.inputs}
        rows = len(next(iter(fed.values())))
        if rows <= self._most_rows:
            return self._answers(fed)
        starts = range(0, rows, self._most_rows)
        parts = [{name: column[at : at + self._most_rows] for name, column in fed.items()} for at in starts]
        return np.concatenate([self._answers(part) for part in parts])

    def _answers(self, fed: dict[str, Any]) -> Output:
        return self.reading.told(self._session.run([self.output], fed)[0])

    def close(self) -> None:
        """Nothing to do: the session goes with its last user."""


def session(model: bytes) -> Any:
    """A session over the model, with one thread. Raises InvalidArtifact."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Errors come back as exceptions; ONNX Runtime would print them a second time.
    options.log_severity_level = 4
    # Never its own format, which it would find by some bytes within: what was checked is what runs.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Of its many exceptions none is public; each means that this version cannot run this model.
    except Exception as error:
        raise InvalidArtifact(f"ONNX Runtime cannot load the model: {str(error)[:300]}") from error


def _chosen(outputs: list[Any], name: str | None, task: Task) -> str:
    numbers = _FLOATS if task == "classification" else (*_FLOATS, *_INTEGERS)
    usable = [one.name for one in outputs if one.type.startswith((*_FLOATS, "seq(map("))]
    # Values may be whole numbers, but where there are others these stand for something else.
    usable = usable or [one.name for one in outputs if one.type.startswith(numbers)]
    if name is not None:
        usable = [one.name for one in outputs if one.name == name and one.type.startswith((*numbers, "seq(map("))]
    if not usable:
        had = ", ".join(f"{one.name}: {one.type}" for one in outputs)
        wanted = "probabilities" if task == "classification" else "numbers"
        remedy = " Export it with the probability of each label, not the label alone." if wanted != "numbers" else ""
        called = f" called {name[:60]!r}" if name else ""
        raise InvalidArtifact(f"The model has no output of {wanted}{called}; it has {had[:300]}.{remedy}")
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
