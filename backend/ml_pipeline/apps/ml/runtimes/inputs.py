"""The inputs of an ONNX model: which features go into which, of which type, and which numbers fit there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import InvalidArtifact

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
# They hold whatever a row may.
_ROOMY = frozenset({"tensor(float)", "tensor(double)", "tensor(int64)", "tensor(string)"})


@dataclass(frozen=True, slots=True)
class Input:
    """One input with the features that it takes, in order, as a column each; a vector where it has one dimension."""

    name: str
    type: str
    features: tuple[Feature, ...]
    is_vector: bool

    @property
    def _dtype(self) -> Any:
        return _TYPES[self.type]

    def refuse_inexact(self) -> None:
        """Raises InvalidArtifact where a feature may be missing or have a fraction and the input takes neither."""
        if self.type == "tensor(string)" or np.issubdtype(self._dtype, np.floating):
            return
        for feature in self.features:
            kind = "boolean" if self.type == "tensor(bool)" else "integer"
            if feature.nullable or feature.type == "number":
                what = "may be missing" if feature.nullable else "is a number that may have a fraction"
                raise InvalidArtifact(
                    f"The feature {feature.name!r} {what}, and the model's input {self.name} is {self.type}, which has "
                    f'neither: declare it in the signature as "type": "{kind}" and "nullable": false.'
                )

    def bounded(self) -> tuple[Feature, ...]:
        """Its features, numbers with the bounds of what the input holds where a row may have more."""
        if self.type in _ROOMY:
            return self.features
        least, most = _range(self._dtype)
        found = []
        for feature in self.features:
            before = feature.bounds or (least, most)
            bounds = max(before[0], least), min(before[1], most)
            is_number = feature.type in {"integer", "number"} and not feature.is_closed
            found.append(replace(feature, bounds=bounds) if is_number else feature)
        return tuple(found)

    def fed(self, columns: Columns) -> npt.NDArray[Any]:
        """The array for this input, of numbers within its bounds: (n, features), or (n,)."""
        if len(self.features) > 1:
            return np.column_stack([columns[feature.name] for feature in self.features]).astype(self._dtype)
        return columns[self.features[0].name].astype(self._dtype).reshape((-1,) if self.is_vector else (-1, 1))


def _range(dtype: Any) -> tuple[float, float]:
    if dtype is np.bool_:
        return 0.0, 1.0
    limits = np.finfo(dtype) if np.issubdtype(dtype, np.floating) else np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def matched(nodes: Sequence[Any], signature: Signature) -> list[Input]:
    """The inputs with their features. Raises InvalidArtifact where they do not fit together.

    By name where all names are the features', else by position; an input of several columns takes as many features as
    follow. Converters rename inputs: `hours-per-week` becomes `hours_per_week`.
    """
    features = signature.features
    names = [feature.name for feature in features]
    if {node.name for node in nodes} == set(names):
        nodes = sorted(nodes, key=lambda node: names.index(node.name))
    widths = [_width(node, len(features) if len(nodes) == 1 else 1) for node in nodes]
    if sum(widths) != len(features):
        taken = ", ".join(f"{node.name} of {width}" for node, width in zip(nodes, widths, strict=True))
        raise InvalidArtifact(
            f"The model has {len(nodes)} inputs, its signature {len(features)} features: the inputs take "
            f"{sum(widths)} columns ({taken[:200]})."
        )
    found, begin = [], 0
    for node, width in zip(nodes, widths, strict=True):
        found.append(_input(node, features[begin : begin + width]))
        begin += width
    return found


def batch_size(nodes: Sequence[Any]) -> int | None:
    """How many rows the model takes at once: 1, or None for any number. Raises InvalidArtifact for another one."""
    fixed = {node.shape[0] for node in nodes if node.shape and isinstance(node.shape[0], int) and node.shape[0] > 0}
    if fixed - {1}:
        raise InvalidArtifact(
            f"The model takes exactly {max(fixed)} rows at once. Export it with a dynamic batch axis: the first "
            "dimension of its inputs and outputs without a size."
        )
    return 1 if fixed else None


def _width(node: Any, otherwise: int) -> int:
    if len(node.shape) > 2:
        raise InvalidArtifact(
            f"The model's input {node.name} has {len(node.shape)} dimensions; rows and columns are two. Let the model "
            "itself give them another shape."
        )
    if len(node.shape) == 1:
        return 1
    width = node.shape[1] if len(node.shape) == 2 else None
    return width if isinstance(width, int) and width > 0 else otherwise


def _input(node: Any, features: tuple[Feature, ...]) -> Input:
    is_text = node.type == "tensor(string)"
    for feature in features:
        if node.type not in _TYPES or is_text != (feature.type == "string"):
            expected = (
                f"a {feature.type}" if len(features) == 1 else f"{feature.name!r}, a {feature.type}, in its place"
            )
            raise InvalidArtifact(f"The model's input {node.name} is {node.type}, the signature has {expected} for it.")
    return Input(node.name, node.type, features, len(node.shape) == 1)
