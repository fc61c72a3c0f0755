"""ArtifactStore: bundles in a storage, one object each under a key that the server makes, and a cache by digest.

The storage is whatever has Django's storage methods: a folder, or object storage. A bundle is verified by its digest
when it is fetched and again, file by file, whenever it is read from the cache.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.errors import InvalidArtifact

PREFIX = "bundles"
# What fits in memory stays there while it is packed; a larger bundle goes through a temporary file.
SPOOL_BYTES = 32_000_000


class Storage(Protocol):
    """The part of Django's storage API that is used here."""

    def open(self, name: str) -> IO[bytes]:
        """The object called `name`. Raises FileNotFoundError, or OSError."""
        ...

    def save(self, name: str, content: Any) -> str:
        """The name under which `content` is now stored, whole and durable."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        ...

    def delete(self, name: str) -> None:
        """The object is gone."""
        ...

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The folders and the objects right below `path`."""
        ...

    def get_modified_time(self, name: str) -> datetime:
        """When the object was stored."""
        ...


class ArtifactStore:
    """The bundles of all registered algorithms. `cache` is a folder of this machine."""

    def __init__(self, storage: Storage, cache: Path) -> None:
        self._storage = storage
        self._cache = cache

    def add(self, bundle: Bundle) -> None:
        """`bundle` is stored under its digest, durable when this returns; an altered object is replaced."""
        key = _key(bundle.digest)
        if self._storage.exists(key):
            if self._stored(bundle.digest) is not None:
                return
            self._storage.delete(key)
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as packed:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name in (bundles.MANIFEST, *bundle.files):
                    content = bundle.document if name == bundles.MANIFEST else bundle.read(name)
                    archive.writestr(name, content)
            packed.seek(0)
            stored = self._storage.save(key, packed)
        if stored != key:
            # Another process stored the same bundle in the same moment.
            self._storage.delete(stored)

    def holds(self, digest: str) -> bool:
        """Whether there is an object for `digest`."""
        return self._storage.exists(_key(digest))

    def bundle(self, digest: str) -> Bundle:
        """The bundle of `digest`, whole and verified, in the cache. Raises InvalidArtifact where that cannot be."""
        folder = self._cache / digest
        if bundles.stands(folder, digest):
            return Bundle(folder, digest)
        found = self._stored(digest)
        if found is None:
            raise InvalidArtifact(f"The stored bundle {digest[:12]} is absent or was altered.")
        bundle = bundles.place_bundle(folder, *found)
        bundle.verify()
        return bundle

    def stored(self) -> Iterator[tuple[str, datetime]]:
        """Every stored digest and when it was stored."""
        try:
            _, names = self._storage.listdir(PREFIX)
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith(".zip"):
                yield name.removesuffix(".zip"), self._storage.get_modified_time(f"{PREFIX}/{name}")

    def clear_staged(self, before: datetime) -> int:
        """How many half-written objects and cached folders, begun before `before`, were left by a kill and removed."""
        try:
            _, names = self._storage.listdir(PREFIX)
        except FileNotFoundError:
            names = []
        staged = [f"{PREFIX}/{name}" for name in names if not name.endswith(".zip")]
        old = [name for name in staged if self._storage.get_modified_time(name) < before]
        for name in old:
            self._storage.delete(name)
        # `bundles.place_bundle` makes a folder under a name with a dot and renames it when it is whole.
        folders = [path for path in self._cache.glob(".*") if path.stat().st_mtime < before.timestamp()]
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
        return len(old) + len(folders)

    def discard(self, digest: str) -> None:
        """The bundle of `digest` is gone, from the cache too."""
        self._storage.delete(_key(digest))
        shutil.rmtree(self._cache / digest, ignore_errors=True)

    def _stored(self, digest: str) -> tuple[bytes, dict[str, bytes]] | None:
        # The manifest and the files of the stored object, or None unless all of it is as the digest says.
        try:
            with self._storage.open(_key(digest)) as handle, zipfile.ZipFile(io.BytesIO(handle.read())) as archive:
                files = {info.filename: archive.read(info) for info in archive.infolist()}
            document = files.pop(bundles.MANIFEST)
        # A damaged archive may fail in any way its reader and its decompressor know.
        except (OSError, KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, lzma.LZMAError, zlib.error):
            return None
        return (document, files) if bundles.is_whole(document, files, digest) else None


def _key(digest: str) -> str:
    return f"{PREFIX}/{digest}.zip"
