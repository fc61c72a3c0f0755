"""Bundles: an algorithm's files and manifest, addressed by sha256.

A bundle is a folder: `manifest.json`, which names every other file with its sha256, and those files. Its digest is the
sha256 of the manifest's bytes, so it covers everything. Nothing here deserialises a model; `loader` does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact, InvalidInput, MalformedInput
from ml_pipeline.wire import strict_json

FORMAT = 1
MANIFEST = "manifest.json"
# Over the manifest's bytes, by a key that the operator trusts; needed where there is a joblib.
MANIFEST_SIGNATURE = "manifest.sig"
JOBLIB_MODEL = "model.joblib"
SKOPS_MODEL = "model.skops"
ONNX_MODEL = "model.onnx"
# In a bundle as trained.
SAMPLE_CSV = "sample.csv"
REFERENCE_CSV = "reference.csv"
# In a bundle as stored: rows as the signature reads them; and the manifest that came, with its signature.
SAMPLE = "sample.json"
ORIGIN = "origin.json"
ORIGIN_SIGNATURE = "origin.sig"


class Bundle:
    """A folder with its manifest; every file is checked against the manifest when it is read."""

    def __init__(self, folder: Path, digest: str | None = None) -> None:
        """Raises InvalidArtifact for what is no bundle or, where `digest` is given, not that one."""
        self.folder = folder
        try:
            self.document = content = (folder / MANIFEST).read_bytes()
            self.digest = hashlib.sha256(content).hexdigest()
            if digest not in {None, self.digest}:
                raise InvalidArtifact(f"The bundle {folder.name[:12]} was altered: its manifest has another sha256.")
            self.manifest: dict[str, Any] = strict_json.loads(content)
            self.files: dict[str, str] = {name: str(about["sha256"]) for name, about in self.manifest["files"].items()}
        except MalformedInput as error:
            raise InvalidArtifact(f"{folder.name} is not a bundle: {error.message}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # Of an OSError the reason alone: its text would tell everyone where the bundle lies.
            raise InvalidArtifact(f"{folder.name} is not a bundle: {getattr(error, 'strerror', error)}") from None
        _check_names(self.files)
        if self.manifest.get("format") != FORMAT or not isinstance(self.manifest.get("metrics", {}), dict):
            raise InvalidArtifact(f"{folder.name} is not a bundle of format {FORMAT} with named metrics.")

    def read(self, name: str) -> bytes:
        """The bytes of the file `name`. Raises InvalidArtifact when it is absent or altered."""
        if name not in self.files:
            raise InvalidArtifact(f"The bundle has no {name}.")
        try:
            content = (self.folder / name).read_bytes()
        except (OSError, ValueError) as error:
            raise InvalidArtifact(f"The bundle's {name} cannot be read: {getattr(error, 'strerror', error)}.") from None
        if hashlib.sha256(content).hexdigest() != self.files[name]:
            raise InvalidArtifact(f"The bundle's {name} is not the file its manifest names: its sha256 differs.")
        return content

    def verify(self) -> None:
        """Returns when every file is as the manifest says. Raises InvalidArtifact for the first that is not."""
        for name in self.files:
            self.read(name)

    @property
    def signature(self) -> Signature:
        """The signature that the manifest states."""
        return Signature.from_json(self.manifest.get("signature"))

    def sample(self) -> list[dict[str, Any]]:
        """The stored sample: rows as the signature reads them. Raises InvalidArtifact."""
        try:
            return self.signature.rows(json.loads(self.read(SAMPLE)))
        except (ValueError, RecursionError) as error:
            raise InvalidArtifact(f"The bundle's {SAMPLE} is not JSON: {error}.") from None
        except InvalidInput as error:
            raise InvalidArtifact(
                f"The bundle's {SAMPLE} breaks its signature: {error.message}", error.details
            ) from None


def _check_names(files: Iterable[str]) -> None:
    # A name is never a path: what reads or writes a bundle stays inside its folder.
    for name in files:
        if name in {"", ".", "..", MANIFEST, MANIFEST_SIGNATURE} or not set(name).isdisjoint("/\\\x00"):
            raise InvalidArtifact(f"{name!r} is no name for a file of a bundle.")


def described(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """The manifest's `files` entry for `files`: name to sha256."""
    return {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in sorted(files.items())}


def _document(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    document = {**manifest, "format": FORMAT, "files": described(files)}
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode()


def write_bundle(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """The bundle of `manifest` and `files` at `folder`, complete or not at all; what stood there is replaced."""
    _check_names(files)
    return place_bundle(folder, _document(manifest, files), files)


def place_bundle(folder: Path, document: bytes, files: Mapping[str, bytes]) -> Bundle:
    """The bundle with the manifest `document` and `files` at `folder` (see `write_bundle`)."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in {**files, MANIFEST: document}.items():
            with (staging / name).open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        staging.chmod(0o755)
        sync_directory(staging)
        bundle = Bundle(staging)
        _put_in_place(staging, folder, bundle.digest)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_directory(folder.parent)
    bundle.folder = folder
    return bundle


def _put_in_place(staging: Path, folder: Path, digest: str) -> None:
    try:
        staging.rename(folder)
    except OSError:
        if stands(folder, digest):
            shutil.rmtree(staging)
            return
        # Removing a folder takes many steps, and a kill between two would leave half a bundle: it is moved aside first.
        retired = staging.with_name(f"{staging.name}-retired")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(retired)
        try:
            staging.rename(folder)
        except OSError:
            with contextlib.suppress(OSError):
                retired.rename(folder)
            raise
        shutil.rmtree(retired, ignore_errors=True)


def stands(folder: Path, digest: str) -> bool:
    """Whether the bundle of that digest is at `folder`, whole and unaltered."""
    try:
        Bundle(folder, digest).verify()
    except InvalidArtifact:
        return False
    return True


def is_whole(document: bytes, files: Mapping[str, bytes], digest: str) -> bool:
    """Whether `document` is the manifest of that digest and `files` are the ones that it names."""
    if hashlib.sha256(document).hexdigest() != digest:
        return False
    named = json.loads(document)["files"]
    return {name: about["sha256"] for name, about in described(files).items()} == {
        name: about["sha256"] for name, about in named.items()
    }


def sync_directory(folder: Path) -> None:
    """What was made or renamed in `folder` is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
