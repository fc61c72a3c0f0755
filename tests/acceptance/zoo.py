"""What tests of models of every kind share: uploads with plain httpx, and the comparison with a model's own library."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import skops.io
from homes import REPOSITORY, Home
from people import as_rows
from servers import Server

from ml_pipeline.apps.ml import bundles

TOLERANCE = 1e-5
ENDPOINT = "zoo"
QUESTION = {"version": "1", "probabilities": "1"}


@dataclass(frozen=True)
class Kind:
    """One model as it is uploaded, rows to ask it, and what its own library answers them.

    `truth` is (labels, probabilities) or, in regression, values. `runtime` is what must serve it.
    """

    name: str
    artifact: bytes
    suffix: str
    asked: pd.DataFrame
    truth: Any
    runtime: str = "onnx"
    sample: pd.DataFrame | None = None
    reference: pd.DataFrame | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def of_pipeline(
    name: str, model: Any, asked: pd.DataFrame, given: Any = None, *, runtime: str = "onnx", **metadata: Any
) -> Kind:
    """A fitted model as a .skops; `given` are the rows of `asked` as its library takes them, `asked` unless told."""
    given = asked if given is None else given
    labels = metadata.get("labels")
    truth: Any = np.asarray(model.predict(given))
    if hasattr(model, "classes_"):
        words = dict(zip(model.classes_, labels or [str(one) for one in model.classes_], strict=True))
        truth = [words[one] for one in truth], model.predict_proba(given)
    return Kind(name, skops.io.dumps(model), "skops", asked, truth, runtime, sample=asked, metadata=metadata)


def parquet(frame: pd.DataFrame) -> bytes:
    """`frame` as Parquet."""
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()


def upload(server: Server, kind: Kind, *, version: str = "1") -> httpx.Response:
    """The reply to the upload of `kind`, made with httpx alone."""
    files: dict[str, Any] = {"artifact": (f"model.{kind.suffix}", kind.artifact)}
    if kind.sample is not None:
        files["sample"] = ("sample.parquet", parquet(kind.sample))
    if kind.reference is not None:
        files["reference"] = ("reference.csv", kind.reference.to_csv(index=False).encode())
    data = {"endpoint": ENDPOINT, "name": kind.name, "version": version, "metadata": json.dumps(kind.metadata)}
    with server.client("manage") as client:
        return client.post("/api/v1/mlalgorithms", data=data, files=files)


def upload_all(server: Server, kinds: Sequence[Kind]) -> dict[str, httpx.Response]:
    """The reply to each upload by the name of its kind, two at once: as many as one server takes."""
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda kind: upload(server, kind), kinds))
    return {kind.name: reply for kind, reply in zip(kinds, replies, strict=True)}


def predict(server: Server, kind: Kind, **body: Any) -> Any:
    """The answers to one request to version 1 of `kind`."""
    with server.client("predict") as client:
        reply = client.post(f"/api/v1/{ENDPOINT}/predict", params=QUESTION | {"algorithm": kind.name}, **body)
    assert reply.status_code == 200, f"{kind.name}: {reply.status_code} {reply.text[:500]}"
    return reply.json()


def assert_serves(server: Server, kind: Kind) -> None:
    """Asked for a list, for single rows and by a form, the server answers as the model's own library."""
    rows = as_rows(kind.asked)
    together = predict(server, kind, json=rows)
    assert_equal(together, kind, slice(None))
    for at in range(0, len(rows), max(1, len(rows) // 5)):
        assert_equal([predict(server, kind, json=rows[at])], kind, slice(at, at + 1))
    assert_equal([predict(server, kind, data=as_form(rows[-1]))], kind, slice(len(rows) - 1, len(rows)))


def as_form(row: dict[str, Any]) -> dict[str, str]:
    """A row as the fields of a form, blank where something is missing."""
    return {name: "" if cell is None else str(cell) for name, cell in row.items()}


def assert_equal(answers: list[dict[str, Any]], kind: Kind, part: slice) -> None:
    if not isinstance(kind.truth, tuple):
        truth = np.asarray(kind.truth, dtype=np.float64).reshape(-1)[part]
        values = np.array([answer["value"] for answer in answers])
        assert (np.abs(values - truth) / np.maximum(1.0, np.abs(truth))).max() <= TOLERANCE
        return
    labels, probabilities = kind.truth[0][part], np.asarray(kind.truth[1])[part]
    assert [answer["label"] for answer in answers] == list(labels)
    served = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert np.abs(served - probabilities).max() <= TOLERANCE


def zipped(manifest: dict[str, Any], files: dict[str, bytes], **beside: bytes) -> bytes:
    """A bundle as a zip: its manifest names `files`; `beside` are files by name that it does not name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in {bundles.MANIFEST: document(manifest, files), **files, **beside}.items():
            archive.writestr(name, text)
    return content.getvalue()


def document(manifest: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """The manifest's bytes."""
    named = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    return json.dumps({"format": 1, "files": named, **manifest}).encode()


@contextlib.contextmanager
def serving(folder: Path, door: str, **environment: str) -> Iterator[Server]:
    """A server on a new home at `folder`, or on the one that is there."""
    home = Home(folder)
    if not home.is_complete:
        home.make()
    search = os.pathsep.join([str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "acceptance")])
    server = Server(door, home, {"PYTHONPATH": search, **environment}).start()
    try:
        yield server
    finally:
        server.stop()
