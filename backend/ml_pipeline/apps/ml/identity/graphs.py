"""ONNX models in a canonical form: what a model computes, field by field, without what only people read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ml_pipeline.apps.ml.identity import frames
from ml_pipeline.errors import InvalidArtifact

_NOTES = frozenset({"doc_string", "metadata_props"})
_DROPPED = {
    "ModelProto": _NOTES | {"producer_name", "producer_version", "model_version"},
    "NodeProto": _NOTES | {"name"},
    # Some exporters make up a new one each time.
    "GraphProto": _NOTES | {"name"},
}
# What is found by its name, so that the order is the exporter's and says nothing.
_UNORDERED = frozenset(
    {
        ("ModelProto", "opset_import"),
        ("ModelProto", "functions"),
        ("GraphProto", "initializer"),
        ("GraphProto", "sparse_initializer"),
        ("GraphProto", "value_info"),
        ("NodeProto", "attribute"),
        ("FunctionProto", "opset_import"),
        ("FunctionProto", "attribute"),
        ("FunctionProto", "attribute_proto"),
        ("FunctionProto", "value_info"),
    }
)


def canonical(model: bytes) -> bytes:
    """The canonical form of a serialised ModelProto; initializers count by type, shape and values.

    Raises InvalidArtifact for what is no ONNX model, and for one that keeps values in other files.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import ModelProto

    try:
        proto = ModelProto.FromString(model)
    except DecodeError:
        raise InvalidArtifact("This is no ONNX model.") from None
    if not proto.HasField("graph"):
        raise InvalidArtifact("This is no ONNX model: it has no graph.")
    return _message(proto)


def _message(proto: Any, *, named: bool = True) -> bytes:
    kind = proto.DESCRIPTOR.name
    if kind == "TensorProto":
        return _tensor(proto, named)
    parts = []
    for field, content in proto.ListFields():
        if field.name not in _DROPPED.get(kind, _NOTES):
            parts.append(frames.framed(field.name, _field(kind, field, content)))
    return frames.framed(kind, b"".join(parts))


def _field(kind: str, field: Any, content: Any) -> bytes:
    if isinstance(content, str | bytes | int | float) or hasattr(content, "ListFields"):
        return _single(kind, field.name, content)
    numbers = _numbers(content)
    if numbers is not None:
        return numbers
    items = [_single(kind, field.name, one) for one in content]
    return b"".join(sorted(items) if (kind, field.name) in _UNORDERED else items)


def _numbers(content: Sequence[Any]) -> bytes | None:
    # A forest has millions of them, all of one type: together, not one by one.
    first = content[0]
    if not isinstance(first, int | float):
        return None
    return np.array(content, dtype=np.int64 if isinstance(first, int) else np.float64).tobytes()


def _single(kind: str, name: str, content: Any) -> bytes:
    if isinstance(content, str):
        # The default domain has two spellings.
        text = "" if name == "domain" and content == "ai.onnx" else content
        return frames.framed("text", text.encode())
    if isinstance(content, bytes):
        return frames.framed("bytes", content)
    if isinstance(content, int):
        return frames.framed("integer", b"%d" % content)
    if isinstance(content, float):
        return frames.framed("number", struct.pack("<d", content))
    # A tensor within an attribute is found by the attribute's name.
    return _message(content, named=kind != "AttributeProto")


def _tensor(tensor: Any, named: bool) -> bytes:
    from onnx import TensorProto, numpy_helper

    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        raise InvalidArtifact(f"The model keeps the values of {tensor.name!r} in another file.")
    if tensor.data_type == TensorProto.STRING:
        values = b"".join(frames.framed("bytes", one) for one in tensor.string_data)
    else:
        try:
            # One array whatever field holds the values.
            values = numpy_helper.to_array(tensor).tobytes()
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise InvalidArtifact(f"The model's tensor {tensor.name!r} cannot be read: {error}") from None
    about = [b"%d" % tensor.data_type, *(b"%d" % size for size in tensor.dims)]
    name = tensor.name.encode() if named else b""
    return frames.framed("name", name) + frames.framed("tensor", b",".join(about)) + frames.framed("values", values)
