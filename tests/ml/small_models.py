"""Small pipelines and the bundles of them, quick enough to make anew in every test."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from people import as_rows
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import artifacts
from ml_pipeline.apps.ml.artifacts import Bundle
from ml_pipeline.apps.ml.signature import Signature, inferred_feature


def signature_of(pipeline: Any, frame: pd.DataFrame) -> Signature:
    """What the cells of `frame` and the classes of `pipeline` say."""
    rows = as_rows(frame)
    features = tuple(inferred_feature(name, [row[name] for row in rows]) for name in frame)
    labels = tuple(str(label) for label in getattr(pipeline, "classes_", ()))
    return Signature(features, "classification" if labels else "regression", labels)


def contents(pipeline: Any, frame: pd.DataFrame, **more: bytes) -> dict[str, bytes]:
    """The files of a bundle: the pipeline and `frame` as its sample."""
    model = io.BytesIO()
    joblib.dump(pipeline, model)
    sample = frame.to_csv(index=False).encode()
    return {artifacts.PIPELINE: model.getvalue(), artifacts.SAMPLE: sample, **more}


def manifest_of(pipeline: Any, frame: pd.DataFrame, **more: Any) -> dict[str, Any]:
    """A manifest without its files, served as it was trained."""
    signature = signature_of(pipeline, frame).to_json()
    return {"format": 1, "name": "small", "algorithm": "pipeline", "signature": signature, "runtime": "sklearn", **more}


def bundle_of(folder: Path, pipeline: Any, frame: pd.DataFrame, **more: Any) -> Bundle:
    """The bundle of `pipeline` at `folder`, its sample all of `frame`."""
    return artifacts.write_bundle(folder, manifest_of(pipeline, frame, **more), contents(pipeline, frame))


def small_frame(rows: int = 40) -> pd.DataFrame:
    """Two numbers a row."""
    numbers = np.random.default_rng(0).normal(size=(rows, 2))
    return pd.DataFrame(numbers, columns=["x", "y"])


def small_tree(frame: pd.DataFrame, seed: int = 0) -> Any:
    """A decision tree that tells whether x + y is positive."""
    labels = np.where(frame.x + frame.y > 0, "plus", "minus")
    return DecisionTreeClassifier(max_depth=3, random_state=seed).fit(frame, labels)


class Canary:
    """Unpickled, it writes a file: the proof that somebody deserialised it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "tweet"))


def flipped(content: bytes, at: int) -> bytes:
    """`content` with one bit of one byte turned."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def stored(root: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[artifacts.ArtifactStore, str]:
    """A store with that bundle, and the bundle's digest."""
    store = artifacts.ArtifactStore(root)
    return store, store.add(manifest, files)
