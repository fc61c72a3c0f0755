"""A bundle is what its digest says or it is refused, and nothing in it is deserialised before that is known."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from people import as_rows
from small_models import (
    TRUSTED,
    Canary,
    contents,
    examined,
    flipped,
    manifest_of,
    servable,
    signature_of,
    signed,
    small_frame,
    small_tree,
    store_at,
)

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration import tables
from ml_pipeline.apps.ml.registration.submission import FileGiven
from ml_pipeline.errors import InvalidArtifact

FRAME = small_frame()
TREE = small_tree(FRAME)
SAMPLE = as_rows(FRAME)
FILES = ("manifest.json", "model.joblib", "sample.json", "origin.json", "origin.sig")


def loaded(folder: Path, digest: str) -> Algorithm:
    """What a process makes of the bundle in its cache: verified by its digest, then file by file."""
    bundle = Bundle(folder, digest)
    bundle.verify()
    return loader.load_native(bundle, str(bundle.manifest["runtime"]), TRUSTED)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def trap(tmp_path: Path, canary: Path) -> Bundle:
    """A bundle whose model, once deserialised, writes the canary's file."""
    return servable(tmp_path / "trap", Canary(canary), manifest_of(TREE, FRAME), SAMPLE)


def test_the_trap_springs_where_nothing_was_altered(trap: Bundle, canary: Path) -> None:
    with pytest.raises(InvalidArtifact, match="predict_proba"):
        loaded(trap.folder, trap.digest)
    assert canary.exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_flipped_bit_anywhere_is_refused(trap: Bundle, canary: Path, name: str, place: str) -> None:
    path = trap.folder / name
    content = path.read_bytes()
    path.write_bytes(flipped(content, {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[place]))
    with pytest.raises(InvalidArtifact, match="sha256"):
        loaded(trap.folder, trap.digest)
    assert not canary.exists()


def test_every_byte_of_the_manifest_counts(trap: Bundle) -> None:
    path = trap.folder / "manifest.json"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(flipped(content, at))
        with pytest.raises(InvalidArtifact, match="sha256"):
            Bundle(trap.folder, trap.digest)
    path.write_bytes(content + b" ")
    with pytest.raises(InvalidArtifact, match="sha256"):
        Bundle(trap.folder, trap.digest)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_refused(trap: Bundle, canary: Path, name: str) -> None:
    (trap.folder / name).unlink()
    with pytest.raises(InvalidArtifact):
        loaded(trap.folder, trap.digest)
    assert not canary.exists()


@pytest.mark.parametrize("with_manifest", [False, True], ids=["the model alone", "model and manifest"])
def test_a_model_that_was_exchanged_is_refused(tmp_path: Path, trap: Bundle, canary: Path, with_manifest: bool) -> None:
    bundle = servable(tmp_path / "bundle", TREE, manifest_of(TREE, FRAME), SAMPLE)
    assert loaded(bundle.folder, bundle.digest).runtime.name == "sklearn"
    for name in ["model.joblib"] + ["manifest.json"] * with_manifest:
        shutil.copy(trap.folder / name, bundle.folder / name)
    with pytest.raises(InvalidArtifact, match="sha256"):
        loaded(bundle.folder, bundle.digest)
    assert not canary.exists()


def test_what_was_altered_in_the_cache_is_fetched_anew_and_never_loaded(
    tmp_path: Path, trap: Bundle, canary: Path
) -> None:
    bundle = servable(tmp_path / "bundle", TREE, manifest_of(TREE, FRAME), SAMPLE)
    store_at(tmp_path).add(bundle)
    cached = store_at(tmp_path).bundle(bundle.digest).folder
    shutil.copy(trap.folder / "model.joblib", cached / "model.joblib")
    fetched = store_at(tmp_path).bundle(bundle.digest)
    assert loaded(fetched.folder, bundle.digest).compute_prediction(SAMPLE[:3])
    assert not canary.exists()


def test_a_joblib_that_nobody_or_a_stranger_signed_is_not_loaded(tmp_path: Path, trap: Bundle, canary: Path) -> None:
    with pytest.raises(InvalidArtifact, match="nobody vouches"):
        loader.load_native(trap, "sklearn", [])
    other = servable(tmp_path / "other", TREE, manifest_of(TREE, FRAME), SAMPLE)
    files = {name: trap.read(name) for name in trap.files}
    # A signature of the origin's, over another manifest.
    files |= {name: other.read(name) for name in ("origin.json", "origin.sig")}
    forged = bundles.write_bundle(tmp_path / "forged", manifest_of(TREE, FRAME), files)
    with pytest.raises(InvalidArtifact, match="not the one that was signed"):
        loader.load_native(forged, "sklearn", TRUSTED)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.joblib", "sample.csv"])
def test_a_source_that_was_altered_is_not_registered(tmp_path: Path, canary: Path, name: str) -> None:
    files = {**contents(TREE, FRAME), bundles.JOBLIB_MODEL: contents(Canary(canary), FRAME)[bundles.JOBLIB_MODEL]}
    source = signed(bundles.write_bundle(tmp_path / "source", manifest_of(TREE, FRAME), files))
    path = source.folder / name
    path.write_bytes(flipped(path.read_bytes(), 3))
    with pytest.raises(InvalidArtifact, match="sha256"):
        examined(tmp_path / "work", source)
    assert not canary.exists()
    assert not (tmp_path / "work" / "bundle").exists()


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
        bundles.write_bundle(tmp_path / "new" / "bundle", {}, {name: b"mine"})
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "outside").read_text() == "not yours"


def test_a_model_that_cannot_be_unpickled_is_no_artifact(tmp_path: Path) -> None:
    for content in (b"", b"not a pickle", contents(TREE, FRAME)["model.joblib"][:-20]):
        bundle = signed(bundles.write_bundle(tmp_path / "bundle", {}, {bundles.JOBLIB_MODEL: content}))
        with pytest.raises(InvalidArtifact, match="cannot be loaded"):
            loader.load_pipeline(bundle, TRUSTED)


@pytest.mark.parametrize("model", [b"", b"not a model"])
def test_an_onnx_model_that_is_none_is_no_artifact(tmp_path: Path, model: bytes) -> None:
    bundle = bundles.write_bundle(tmp_path / "bundle", manifest_of(TREE, FRAME), {bundles.ONNX_MODEL: model})
    with pytest.raises(InvalidArtifact, match="ONNX Runtime cannot load"):
        loader.load_onnx(bundle)


@pytest.mark.parametrize("changes", [{"runtime": "abacus"}, {"runtime": None}, {"runtime": "onnx"}, {"signature": {}}])
def test_what_a_manifest_demands_must_be_there(tmp_path: Path, changes: dict[str, Any]) -> None:
    bundle = servable(tmp_path / "bundle", TREE, manifest_of(TREE, FRAME) | changes, SAMPLE)
    with pytest.raises(InvalidArtifact):
        loaded(bundle.folder, bundle.digest)


def table_of(folder: Path, content: bytes) -> tables.Table:
    """The rows in that CSV."""
    path = folder / "sample.csv"
    path.write_bytes(content)
    return tables.read(FileGiven(str(path), "csv"), "sample")


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (b"x,y\n1,old\n", "row 0, field 'y'"),
        (b"x\n1\n", "lacks the column 'y'"),
        (b"x,y\n1,\xff\n", "not CSV in UTF-8"),
        (b'x,y\n1,"' + b"9" * 200_000, "not CSV in UTF-8"),
        (b"x,y\n1\n", "Line 2 of the sample has 1 cells, not 2"),
        (b"x,x\n1,2\n", "the column 'x' twice"),
        (b"x,y\n", "has no rows"),
    ],
)
def test_rows_that_break_the_signature_are_refused(tmp_path: Path, sample: bytes, reason: str) -> None:
    with pytest.raises(InvalidArtifact, match=reason):
        table_of(tmp_path, sample).rows(signature_of(TREE, FRAME), "sample")


def test_rows_are_read_whatever_a_spreadsheet_adds(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"\xef\xbb\xbfx,y,income\r\n1,2.5,>50K\r\n")
    assert table.rows(signature_of(TREE, FRAME), "sample") == [{"x": 1.0, "y": 2.5}]


@pytest.mark.parametrize(
    ("sample", "reason"), [(b'[{"x": 1, "y": "old"}]', "breaks its signature"), (b"[", "not JSON")]
)
def test_a_stored_sample_that_breaks_the_signature_is_refused(tmp_path: Path, sample: bytes, reason: str) -> None:
    bundle = bundles.write_bundle(tmp_path / "bundle", manifest_of(TREE, FRAME), {bundles.SAMPLE: sample})
    with pytest.raises(InvalidArtifact, match=reason):
        bundle.sample()
