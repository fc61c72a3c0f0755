"""Identity: one digest for one content, however and whenever it was dumped.

Two dumps of one scikit-learn object differ in their bytes, and two exports of one graph in notes and names. So content
is walked in a canonical way, and the sha256 of that walk says whether two models are the same. Storage goes by bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ml_pipeline.apps.ml.identity import graphs, objects


def of_object(value: Any) -> str:
    """The hex sha256 of the content of `value`: a fitted estimator, a pipeline or any other graph of objects.

    Arrays count by dtype, shape and elements, functions and classes by name, everything else by what pickle would be
    told. Whether equal parts are one object or several does not matter: dumps differ in that. Cycles are allowed.
    Raises InvalidArtifact, naming the type, for what cannot be reduced to content or is nested too deeply.
    """
    return hashlib.sha256(objects.canonical(value)).hexdigest()


def of_onnx(model: bytes) -> str:
    """The hex sha256 of an ONNX model's content: what it computes, and not who made it, when, or the notes in it.

    Raises InvalidArtifact for what is no ONNX model, and for one that keeps values in other files.
    """
    return hashlib.sha256(graphs.canonical(model)).hexdigest()


def combined(parts: Mapping[str, Any]) -> str:
    """The hex sha256 of `parts`, names to JSON values; the order of names does not matter."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
