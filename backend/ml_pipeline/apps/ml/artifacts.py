"""Bundles: an algorithm's files and manifest, addressed by sha256, and the loader.

A bundle is a folder: `manifest.json`, which names every other file with its sha256, and those files. Its digest is the
sha256 of the manifest's bytes, so it covers everything. This is the only module that deserialises a model, and it
verifies all of a bundle before it does. A joblib is a program: it is loaded only from a bundle that an operator
registered.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from ml_pipeline.apps.ml.algorithm import Algorithm, Runtime
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact, InvalidInput

FORMAT = 1
MANIFEST = "manifest.json"
PIPELINE = "model.joblib"
ONNX_MODEL = "model.onnx"
SAMPLE = "sample.csv"
REFERENCE = "reference.csv"
ALGORITHMS_GROUP = "ml_pipeline.algorithms"


class Bundle:
    """A folder with its manifest; every file is checked against the manifest when it is read."""

    def __init__(self, folder: Path, digest: str | None = None) -> None:
        """Raises InvalidArtifact for what is no bundle or, where `digest` is given, not that one."""
        self.folder = folder
        try:
            content = (folder / MANIFEST).read_bytes()
            self.digest = hashlib.sha256(content).hexdigest()
            if digest not in {None, self.digest}:
                raise InvalidArtifact(f"The bundle {folder.name[:12]} was altered: its manifest has another sha256.")
            self.manifest: dict[str, Any] = json.loads(content, parse_constant=_refuse_constant)
            self.files: dict[str, str] = {name: str(about["sha256"]) for name, about in self.manifest["files"].items()}
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

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of the CSV file `name`, read by the signature; columns that are no feature are left out."""
        signature = self.signature
        names = {feature.name for feature in signature.features}
        content = self.read(name)
        try:
            # Spreadsheets begin a CSV with a byte order mark, which would hide the first column.
            reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
            absent = names - set(reader.fieldnames or ())
            if absent:
                raise InvalidArtifact(f"The bundle's {name} lacks the column {min(absent)!r}.")
            raw = [{key: cell for key, cell in line.items() if key in names} for line in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidArtifact(f"The bundle's {name} is not CSV in UTF-8: {error}.") from None
        try:
            return signature.rows(raw, coerce=True)
        except InvalidInput as error:
            raise InvalidArtifact(f"The bundle's {name} breaks its signature: {error.message}", error.details) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the manifest holds {name}")


def _check_names(files: Iterable[str]) -> None:
    # A name is never a path: what reads or writes a bundle stays inside its folder.
    for name in files:
        if name in {"", ".", "..", MANIFEST} or not set(name).isdisjoint("/\\\x00"):
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
    document = _document(manifest, files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in {**files, MANIFEST: document}.items():
            with (staging / name).open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        staging.chmod(0o755)
        _sync_directory(staging)
        bundle = Bundle(staging)
        _put_in_place(staging, folder, bundle.digest)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sync_directory(folder.parent)
    bundle.folder = folder
    return bundle


def _put_in_place(staging: Path, folder: Path, digest: str) -> None:
    try:
        staging.rename(folder)
    except OSError:
        if _stands(folder, digest):
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


def _stands(folder: Path, digest: str) -> bool:
    try:
        Bundle(folder, digest).verify()
    except InvalidArtifact:
        return False
    return True


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
        """The digest under which the bundle is now stored, on disk when this returns; an altered copy is replaced."""
        digest = hashlib.sha256(_document(manifest, files)).hexdigest()
        if not _stands(self.root / digest, digest):
            try:
                write_bundle(self.root / digest, manifest, files)
            except OSError:
                # Another process may have healed the same bundle in the meantime.
                if not _stands(self.root / digest, digest):
                    raise
        return digest

    def bundle(self, digest: str) -> Bundle:
        """The bundle of that digest. Raises InvalidArtifact when it is absent or its manifest was altered."""
        return Bundle(self.root / digest, digest)

    def load(self, digest: str) -> Algorithm:
        """The algorithm of that digest with the runtime its manifest chose, after every file was verified."""
        bundle = self.bundle(digest)
        bundle.verify()
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
    try:
        loaded = next(iter(found)).load()
    except (ImportError, AttributeError) as error:
        raise InvalidArtifact(f"The entry point {name!r} cannot be imported: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Algorithm)):
        raise InvalidArtifact(f"The entry point {name!r} is no Algorithm class.")
    return loaded
