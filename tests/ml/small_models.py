"""Small pipelines and the bundles of them, quick enough to make anew in every test."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from django.core.files.storage import FileSystemStorage
from people import as_rows
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import bundles, compile, origins
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.origins import ServerKey
from ml_pipeline.apps.ml.registration import examination
from ml_pipeline.apps.ml.registration.submission import FileGiven, Registered, Submission, work_files
from ml_pipeline.apps.ml.signature import Signature, inferred_feature

ORIGIN = ServerKey("a secret of these tests", origins.ORIGIN)
TRUSTED = (ORIGIN.public_key,)


class Kept(NamedTuple):
    """An algorithm as it is registered: the digest of its stored bundle, and its record."""

    digest: str
    record: Registered


def signature_of(pipeline: Any, frame: pd.DataFrame) -> Signature:
    """What the cells of `frame` and the classes of `pipeline` say."""
    rows = as_rows(frame)
    features = tuple(inferred_feature(name, [row[name] for row in rows]) for name in frame)
    labels = tuple(str(label) for label in getattr(pipeline, "classes_", ()))
    return Signature(features, "classification" if labels else "regression", labels)


def pickled(model: Any) -> bytes:
    """`model` as a joblib."""
    content = io.BytesIO()
    joblib.dump(model, content)
    return content.getvalue()


def contents(pipeline: Any, frame: pd.DataFrame, **more: bytes) -> dict[str, bytes]:
    """The files of a bundle as trained: the pipeline and `frame` as its sample."""
    sample = frame.to_csv(index=False).encode()
    return {bundles.JOBLIB_MODEL: pickled(pipeline), bundles.SAMPLE_CSV: sample, **more}


def manifest_of(pipeline: Any, frame: pd.DataFrame, **more: Any) -> dict[str, Any]:
    """A manifest without its files, served as it was trained."""
    signature = signature_of(pipeline, frame).to_json()
    return {"name": "small", "algorithm": "pipeline", "signature": signature, "runtime": "sklearn", **more}


def signed(bundle: Bundle) -> Bundle:
    """`bundle`, for which ORIGIN vouches from now on."""
    (bundle.folder / bundles.MANIFEST_SIGNATURE).write_bytes(ORIGIN.sign(bundle.document))
    return bundle


def bundle_of(folder: Path, pipeline: Any, frame: pd.DataFrame, **more: Any) -> Bundle:
    """The bundle of `pipeline` as trained at `folder`, its sample all of `frame`; ORIGIN vouches for it."""
    return signed(bundles.write_bundle(folder, manifest_of(pipeline, frame, **more), contents(pipeline, frame)))


def servable(
    folder: Path, model: Any, manifest: Mapping[str, Any], sample: list[dict[str, Any]], **more: bytes
) -> Bundle:
    """The bundle of `model` as stored at `folder`; the manifest that came with it is signed by ORIGIN."""
    files = {bundles.JOBLIB_MODEL: pickled(model)}
    origin = json.dumps({"files": bundles.described(files)}).encode()
    files |= {bundles.ORIGIN: origin, bundles.ORIGIN_SIGNATURE: ORIGIN.sign(origin)}
    files |= {bundles.SAMPLE: json.dumps(sample).encode(), **more}
    return bundles.write_bundle(folder, manifest, files)


def compiled_bundle(folder: Path, pipeline: Any, frame: pd.DataFrame, **more: Any) -> Bundle:
    """The bundle of `pipeline` as stored at `folder`: in ONNX, `frame` its sample."""
    signature = signature_of(pipeline, frame)
    sample = json.dumps(signature.rows(as_rows(frame))).encode()
    files = {bundles.ONNX_MODEL: compile.compiled(pipeline, signature), bundles.SAMPLE: sample}
    return bundles.write_bundle(folder, manifest_of(pipeline, frame, runtime="onnx", **more), files)


def examined(folder: Path, source: Bundle) -> tuple[Bundle, Registered]:
    """The servable bundle and the record of `source`, worked out in this process in the new folder `folder`."""
    folder.mkdir()
    submission = Submission(FileGiven(str(source.folder), "folder"), trusted_keys=TRUSTED)
    examination.examine(submission, folder, lambda step: None)
    _, made, record = work_files(folder)
    return Bundle(made), Registered.from_json(record.read_text(encoding="utf-8"))


def store_at(root: Path) -> ArtifactStore:
    """A store whose objects are below `root`/storage, and whose cache is `root`/cache."""
    return ArtifactStore(FileSystemStorage(root / "storage"), root / "cache")


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
