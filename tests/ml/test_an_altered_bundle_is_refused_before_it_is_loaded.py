"""A bundle is what its digest says or it is refused, and nothing in it is deserialised before that is known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small_models import Canary, bundle_of, contents, flipped, manifest_of, small_frame, small_tree, stored

from ml_pipeline.apps.ml import artifacts, registration
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.errors import InvalidArtifact

FRAME = small_frame()
TREE = small_tree(FRAME)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def trap(tmp_path: Path, canary: Path) -> tuple[ArtifactStore, str]:
    """A store with a bundle whose model, once deserialised, writes the canary's file."""
    files = contents(Canary(canary), FRAME, **{artifacts.REFERENCE: b"x,y\n1,2\n"})
    return stored(tmp_path / "store", manifest_of(TREE, FRAME), files)


def test_the_trap_springs_where_nothing_was_altered(trap: tuple[ArtifactStore, str], canary: Path) -> None:
    store, digest = trap
    with pytest.raises(InvalidArtifact, match="predict_proba"):
        store.load(digest)
    assert canary.exists()


@pytest.mark.parametrize("name", ["manifest.json", "model.joblib", "sample.csv", "reference.csv"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_flipped_bit_anywhere_is_refused(
    trap: tuple[ArtifactStore, str], canary: Path, name: str, place: str
) -> None:
    store, digest = trap
    path = store.root / digest / name
    content = path.read_bytes()
    path.write_bytes(flipped(content, {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[place]))
    with pytest.raises(InvalidArtifact, match="sha256"):
        store.load(digest)
    assert not canary.exists()


def test_every_byte_of_the_manifest_counts(trap: tuple[ArtifactStore, str]) -> None:
    store, digest = trap
    path = store.root / digest / "manifest.json"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(flipped(content, at))
        with pytest.raises(InvalidArtifact, match="sha256"):
            store.bundle(digest)
    path.write_bytes(content + b" ")
    with pytest.raises(InvalidArtifact, match="sha256"):
        store.bundle(digest)


@pytest.mark.parametrize("name", ["manifest.json", "model.joblib", "sample.csv", "reference.csv"])
def test_a_file_that_is_gone_is_refused(trap: tuple[ArtifactStore, str], canary: Path, name: str) -> None:
    store, digest = trap
    (store.root / digest / name).unlink()
    with pytest.raises(InvalidArtifact):
        store.load(digest)
    assert not canary.exists()


@pytest.mark.parametrize("with_manifest", [False, True], ids=["the model alone", "model and manifest"])
def test_a_model_that_was_exchanged_is_refused(tmp_path: Path, canary: Path, with_manifest: bool) -> None:
    store, digest = stored(tmp_path / "store", manifest_of(TREE, FRAME), contents(TREE, FRAME))
    assert store.load(digest).runtime.name == "sklearn"
    forged = bundle_of(tmp_path / "forged", Canary(canary), FRAME)
    for name in ["model.joblib"] + ["manifest.json"] * with_manifest:
        (store.root / digest / name).write_bytes((forged.folder / name).read_bytes())
    with pytest.raises(InvalidArtifact, match="sha256"):
        store.load(digest)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.joblib", "sample.csv"])
def test_a_source_that_was_altered_is_not_registered(tmp_path: Path, canary: Path, name: str) -> None:
    source = bundle_of(tmp_path / "source", Canary(canary), FRAME)
    path = source.folder / name
    path.write_bytes(flipped(path.read_bytes(), 3))
    with pytest.raises(InvalidArtifact, match="sha256"):
        registration.prepared(Bundle(source.folder), ArtifactStore(tmp_path / "store"))
    assert not canary.exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'"manifest"',
        b"{}",
        b'{"files": []}',
        b'{"files": {"a": 1}}',
        b'{"files": {"a": {}}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_has_no_manifest_is_no_bundle(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(InvalidArtifact, match="is not a bundle"):
        Bundle(tmp_path)


# Never an absolute name of a file that matters: were the check gone, the test would write there.
@pytest.mark.parametrize("name", ["../outside", "a/b", "a\\b", "..", ".", "", "manifest.json"])
def test_a_file_outside_the_bundle_cannot_be_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "outside").write_text("not yours")
    files = {name: {"sha256": hashlib.sha256(b"not yours").hexdigest()}}
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps({"files": files}))
    with pytest.raises(InvalidArtifact, match="no name for a file of a bundle"):
        Bundle(tmp_path / "bundle")
    with pytest.raises(InvalidArtifact):
        artifacts.write_bundle(tmp_path / "new" / "bundle", {}, {name: b"mine"})
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "outside").read_text() == "not yours"


def test_a_model_that_cannot_be_unpickled_is_no_artifact(tmp_path: Path) -> None:
    for content in (b"", b"not a pickle", contents(TREE, FRAME)["model.joblib"][:-20]):
        bundle = artifacts.write_bundle(tmp_path / "bundle", {}, {artifacts.PIPELINE: content})
        with pytest.raises(InvalidArtifact, match="cannot be loaded"):
            artifacts.load_pipeline(bundle)


@pytest.mark.parametrize("model", [b"", b"not a model"])
def test_an_onnx_model_that_is_none_is_no_artifact(tmp_path: Path, model: bytes) -> None:
    files = contents(TREE, FRAME, **{artifacts.ONNX_MODEL: model})
    store, digest = stored(tmp_path, manifest_of(TREE, FRAME, runtime="onnx"), files)
    with pytest.raises(InvalidArtifact, match="ONNX Runtime cannot load"):
        store.load(digest)


@pytest.mark.parametrize("changes", [{"runtime": "abacus"}, {"runtime": None}, {"runtime": "onnx"}, {"signature": {}}])
def test_what_a_manifest_demands_must_be_there(tmp_path: Path, changes: dict[str, Any]) -> None:
    store, digest = stored(tmp_path, manifest_of(TREE, FRAME) | changes, contents(TREE, FRAME))
    with pytest.raises(InvalidArtifact):
        store.load(digest)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (b"x,y\n1,old\n", "row 0, field 'y'"),
        (b"x\n1\n", "lacks the column 'y'"),
        (b"x,y\n1,\xff\n", "not CSV in UTF-8"),
        (b'x,y\n1,"' + b"9" * 200_000 + b'"\n', "not CSV in UTF-8"),
    ],
)
def test_rows_that_break_the_signature_are_refused(tmp_path: Path, sample: bytes, reason: str) -> None:
    files = {**contents(TREE, FRAME), artifacts.SAMPLE: sample}
    bundle = artifacts.write_bundle(tmp_path / "bundle", manifest_of(TREE, FRAME), files)
    with pytest.raises(InvalidArtifact, match=reason):
        bundle.rows(artifacts.SAMPLE)


def test_rows_are_read_whatever_a_spreadsheet_adds(tmp_path: Path) -> None:
    files = {artifacts.SAMPLE: b"\xef\xbb\xbfx,y,income\r\n1,2.5,>50K\r\n"}
    bundle = artifacts.write_bundle(tmp_path / "bundle", manifest_of(TREE, FRAME), files)
    assert bundle.rows(artifacts.SAMPLE) == [{"x": 1.0, "y": 2.5}]
