"""Bundles: an algorithm's files and manifest, addressed by sha256, and the loader.

A bundle is a folder: `manifest.json`, which names every other file with its sha256, and those files. Its digest is the
sha256 of the manifest's bytes, so it covers everything. This is the only module that deserialises a model, and it
verifies digests before it does. A joblib is a program: it is loaded only from a bundle that an operator registered.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml.algorithm import Algorithm, Runtime
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact, InvalidInput

MANIFEST = "manifest.json"
PIPELINE = "model.joblib"
ONNX_MODEL = "model.onnx"
SAMPLE = "sample.csv"
REFERENCE = "reference.csv"
ALGORITHMS_GROUP = "ml_pipeline.algorithms"


class Bundle:
    """A folder with its manifest; every file is checked against the manifest when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest_bytes = (folder / MANIFEST).read_bytes()
            self.manifest: dict[str, Any] = json.loads(self.manifest_bytes)
            self.files: dict[str, str] = {name: str(about["sha256"]) for name, about in self.manifest["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidArtifact(f"{folder.name} is not a bundle: {error}") from None

    @property
    def digest(self) -> str:
        """sha256 of the manifest, in hex."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    def read(self, name: str) -> bytes:
        """The bytes of the file `name`. Raises InvalidArtifact when it is absent or altered."""
        if name not in self.files:
            raise InvalidArtifact(f"The bundle has no {name}.")
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise InvalidArtifact(f"The bundle's {name} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(content).hexdigest() != self.files[name]:
            raise InvalidArtifact(f"The bundle's {name} is not the file its manifest names: its sha256 differs.")
        return content

    @property
    def signature(self) -> Signature:
        """The signature that the manifest states."""
        return Signature.from_json(self.manifest.get("signature"))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of the CSV file `name`, read by the signature; columns that are no feature are left out."""
        signature = self.signature
        names = {feature.name for feature in signature.features}
        reader = csv.DictReader(io.StringIO(self.read(name).decode("utf-8"), newline=""))
        raw = [{key: cell for key, cell in line.items() if key in names} for line in reader]
        try:
            return signature.rows(raw, coerce=True)
        except InvalidInput as error:
            raise InvalidArtifact(f"The bundle's {name} breaks its signature: {error.message}", error.details) from None


def described(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """The manifest's `files` entry for `files`: name to sha256 and size in bytes."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in sorted(files.items())
    }


def write_bundle(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """The bundle of `manifest` and `files` at `folder`, complete or not at all; what stood there is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    document = json.dumps({**manifest, "files": described(files)}, indent=2, sort_keys=True, allow_nan=False).encode()
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in {**files, MANIFEST: document}.items():
            with (staging / name).open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        staging.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sync_directory(folder.parent)
    return Bundle(folder)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ArtifactStore:
    """Bundles under one folder, each in a sub-folder named by its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
        """The digest under which the bundle is now stored, on disk when this returns."""
        document = json.dumps({**manifest, "files": described(files)}, indent=2, sort_keys=True, allow_nan=False)
        digest = hashlib.sha256(document.encode()).hexdigest()
        if not (self.root / digest).exists():
            write_bundle(self.root / digest, manifest, files)
        return digest

    def bundle(self, digest: str) -> Bundle:
        """The bundle of that digest. Raises InvalidArtifact when it is absent or its manifest was altered."""
        bundle = Bundle(self.root / digest)
        if bundle.digest != digest:
            raise InvalidArtifact(f"The bundle {digest[:12]} was altered: its manifest has another sha256.")
        return bundle

    def load(self, digest: str) -> Algorithm:
        """The algorithm of that digest with the runtime its manifest chose, after every file used was verified."""
        bundle = self.bundle(digest)
        return load_algorithm(bundle, str(bundle.manifest.get("runtime")))


def load_algorithm(bundle: Bundle, runtime: str) -> Algorithm:
    """The bundle's algorithm on `runtime` (`onnx` or `sklearn`). Raises InvalidArtifact when it has none such."""
    signature = bundle.signature
    return algorithm_class(str(bundle.manifest.get("algorithm")))(signature, _runtime(bundle, runtime, signature))


def load_pipeline(bundle: Bundle) -> Any:
    """The bundle's scikit-learn pipeline. Runs code from the bundle: the caller vouches for its origin."""
    import joblib

    content = bundle.read(PIPELINE)
    try:
        return joblib.load(io.BytesIO(content))
    # A pickle may raise anything, and each means that this bundle cannot be loaded here.
    except Exception as error:
        raise InvalidArtifact(f"The bundle's {PIPELINE} cannot be loaded: {type(error).__name__}: {error}") from error


def _runtime(bundle: Bundle, runtime: str, signature: Signature) -> Runtime:
    if runtime == "onnx":
        from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(bundle.read(ONNX_MODEL), signature)
    if runtime == "sklearn":
        from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime

        return SklearnRuntime(load_pipeline(bundle), signature)
    raise InvalidArtifact(f"There is no runtime {runtime!r}; there are onnx and sklearn.")


def algorithm_class(name: str) -> type[Algorithm]:
    """The class that the entry point `name` of the group `ml_pipeline.algorithms` names."""
    found = entry_points(group=ALGORITHMS_GROUP, name=name)
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=ALGORITHMS_GROUP)}))
        raise InvalidArtifact(f"No installed package names an algorithm {name!r}; known are: {known}.")
    loaded = next(iter(found)).load()
    if not (isinstance(loaded, type) and issubclass(loaded, Algorithm)):
        raise InvalidArtifact(f"The entry point {name!r} is no Algorithm class.")
    return loaded
