"""The artifact that came, opened: its model and what its manifest says. Where untrusted bytes are first looked into."""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ml_pipeline.apps.ml import bundles, identity, loader, onnx_models
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration.submission import FileGiven
from ml_pipeline.errors import InvalidArtifact

MAX_FILES = 100
MAX_NAME = 128
TABLES = {"sample": ("sample.csv", "sample.parquet"), "reference": ("reference.csv", "reference.parquet")}
MODELS = (bundles.ONNX_MODEL, bundles.SKOPS_MODEL, bundles.JOBLIB_MODEL)


@dataclass(frozen=True, slots=True)
class Material:
    """One model: a pipeline, an ONNX model, or for a class of one's own neither; the files to keep.

    `content` is the digest of what it is. `manifest` is {} for what came without a bundle; `folder` is where its files
    lie.
    """

    manifest: dict[str, Any]
    folder: Path | None
    files: dict[str, bytes]
    content: str
    pipeline: Any = None
    onnx: Any = None

    def table(self, what: str) -> FileGiven | None:
        """The bundle's own file of `sample` or `reference` rows."""
        if self.folder is None:
            return None
        for name in TABLES[what]:
            if (self.folder / name).exists():
                return FileGiven(str(self.folder / name), name.rpartition(".")[2])
        return None


def opened(given: FileGiven, unpacked: Path, trusted_keys: Sequence[str]) -> Material:
    """The model in `given`; a zip is unpacked to `unpacked`. Raises InvalidArtifact."""
    if given.kind == "zip":
        unpack(Path(given.path), unpacked)
        return _of_bundle(Bundle(unpacked), trusted_keys)
    if given.kind == "folder":
        return _of_bundle(Bundle(Path(given.path)), trusted_keys)
    content = Path(given.path).read_bytes()
    if given.kind == "onnx":
        return _of_onnx(content, {}, None)
    pipeline = loader.load_skops(content)
    return Material({}, None, {bundles.SKOPS_MODEL: content}, identity.of_object(pipeline), pipeline=pipeline)


def unpack(path: Path, folder: Path) -> None:
    """The files of the zip at `path`, flat in `folder`. Raises InvalidArtifact for anything but plain, small files."""
    with path.open("rb") as handle:
        loader.refuse_bomb(handle.read())
    folder.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, info in _members(archive).items():
                with archive.open(info) as source, (folder / name).open("xb") as target:
                    shutil.copyfileobj(source, target)
    # A damaged archive may fail in any way its reader and its decompressors know.
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        # Of an OSError the reason alone: its text would tell where the server unpacks.
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArtifact(f"The zip archive cannot be unpacked: {reason[:200]}") from None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_FILES:
        raise InvalidArtifact(f"The zip archive has {len(infos)} files; a bundle has at most {MAX_FILES}.")
    paths = [PurePosixPath(info.filename) for info in infos]
    # Packed with its folder or without: either way the files stand side by side.
    tops = {path.parts[0] for path in paths if len(path.parts) == 2}
    depth = 1 if len(tops) == 1 and all(len(path.parts) == 2 for path in paths) else 0
    members: dict[str, zipfile.ZipInfo] = {}
    # Where capitals do not count, two such names would be one file.
    seen: set[str] = set()
    for info, path in zip(infos, paths, strict=True):
        name = info.filename.split("/", depth)[-1]
        if path.is_absolute() or ".." in path.parts or not _is_plain(info, name):
            raise InvalidArtifact(f"The zip archive has {info.filename[:100]!r}, which is no plain file of a bundle.")
        if name.lower() in seen:
            raise InvalidArtifact(f"The zip archive has {name!r} twice.")
        seen.add(name.lower())
        members[name] = info
    return members


def _is_plain(info: zipfile.ZipInfo, name: str) -> bool:
    # A name that the reader had to cut or change is another one to other readers.
    is_named = info.orig_filename == info.filename and name.isascii() and name.isprintable() and len(name) <= MAX_NAME
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_file = kind in (0, stat.S_IFREG) and not info.flag_bits & 1
    return is_file and is_named and set(name).isdisjoint("/\\:") and name not in {"", "."}


def _of_bundle(bundle: Bundle, trusted_keys: Sequence[str]) -> Material:
    bundle.verify()
    models = [name for name in MODELS if name in bundle.files]
    if len(models) > 1:
        raise InvalidArtifact(f"The bundle has {' and '.join(models)}; a bundle has one model.")
    if not models:
        return _of_class(bundle)
    if models == [bundles.ONNX_MODEL]:
        return _of_onnx(bundle.read(bundles.ONNX_MODEL), bundle.manifest, bundle.folder)
    pipeline = loader.load_pipeline(bundle, trusted_keys)
    files = {models[0]: bundle.read(models[0])}
    if models == [bundles.JOBLIB_MODEL]:
        files[bundles.ORIGIN] = bundle.document
        files[bundles.ORIGIN_SIGNATURE] = (bundle.folder / bundles.MANIFEST_SIGNATURE).read_bytes()
    return Material(bundle.manifest, bundle.folder, files, identity.of_object(pipeline), pipeline=pipeline)


def _of_onnx(content: bytes, manifest: dict[str, Any], folder: Path | None) -> Material:
    model = onnx_models.parsed(content)
    onnx_models.refuse_malformed_trees(model)
    return Material(manifest, folder, {bundles.ONNX_MODEL: content}, identity.of_onnx(content), onnx=model)


def _of_class(bundle: Bundle) -> Material:
    rows = {name for names in TABLES.values() for name in names}
    files = {name: bundle.read(name) for name in bundle.files if name not in rows}
    reserved = {bundles.SAMPLE, bundles.ORIGIN, bundles.ORIGIN_SIGNATURE} & set(files)
    if reserved:
        raise InvalidArtifact(f"The bundle's file {min(reserved)} has a name that the server keeps for itself.")
    return Material(bundle.manifest, bundle.folder, files, identity.combined(bundles.described(files)))
