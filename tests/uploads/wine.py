"""A small honest model, its rows and its uploads: what hostile ones are made from, and what goes on beside them."""

from __future__ import annotations

import functools
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

UPLOADS = "/api/v1/mlalgorithms"
# The neighbour, whose predictions go on whatever is uploaded.
NEIGHBOUR = "/api/v1/neighbour/predict"
ROW = {"x": 0.5, "y": -0.25}


@functools.cache
def frame() -> pd.DataFrame:
    """Forty rows of two numbers."""
    return pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["x", "y"])


@functools.cache
def labels() -> Any:
    """Whether x + y is positive, in words."""
    return np.where(frame().x + frame().y > 0, "plus", "minus")


def csv() -> bytes:
    """The rows as a sample."""
    return frame().to_csv(index=False).encode()


def pipeline() -> Any:
    """A fitted pipeline that has an equal in ONNX."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame(), labels())


def tree() -> DecisionTreeClassifier:
    """A fitted tree."""
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(frame(), labels())


@functools.cache
def skops_file() -> bytes:
    """The pipeline as a skops file."""
    return bytes(skops.io.dumps(pipeline()))


def form(name: str, version: str = "1", endpoint: str = "hostile", **metadata: Any) -> dict[str, str]:
    """The fields of an upload that are no files."""
    return {"endpoint": endpoint, "name": name, "version": version, "metadata": json.dumps(metadata)}


def files(
    artifact: bytes, file_name: str, sample: bytes | None = None, sample_name: str = "rows.csv"
) -> dict[str, Any]:
    """The files of an upload; without `sample`, the honest rows."""
    rows = csv() if sample is None else sample
    return {"artifact": (file_name, io.BytesIO(artifact)), "sample": (sample_name, io.BytesIO(rows))}
