"""Small ONNX models made by hand, and bundles of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from small_models import TRUSTED

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration import examination
from ml_pipeline.apps.ml.registration.submission import FileGiven, Registered, Submission, work_files
from ml_pipeline.apps.ml.signature import Feature, Signature

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    """One operator."""
    return helper.make_node(kind, inputs, outputs, **attributes)


def tensor(name: str, kind: int, *shape: Any) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: Any) -> bytes:
    """A model of those nodes; `constants` are arrays by name."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 19)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString())


def numbers(*features: Feature) -> Signature:
    """The signature of a regression."""
    return Signature(features, "regression")


def examined(folder: Path, model: bytes, signature: Signature, sample: str) -> tuple[Bundle, Registered]:
    """The servable bundle and the record of an ONNX model with `sample` as CSV, worked out in this process."""
    files = {bundles.ONNX_MODEL: model, bundles.SAMPLE_CSV: sample.encode()}
    source = bundles.write_bundle(folder / "source", {"name": "graph", "signature": signature.to_json()}, files)
    work = folder / "work"
    work.mkdir()
    submission = Submission(FileGiven(str(source.folder), "folder"), trusted_keys=TRUSTED)
    examination.examine(submission, work, lambda step: None)
    _, made, record = work_files(work)
    return Bundle(made), Registered.from_json(record.read_text(encoding="utf-8"))
