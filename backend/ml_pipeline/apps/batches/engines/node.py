"""Node: what runs on the machines of a cluster, as Ray's tasks. It needs neither Django nor settings.

A task scores one chunk. The first one in a process starts the job's own child process, as on a single machine, with
its limits; later ones find that there, with the model loaded. The token of the cluster stays out of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ml_pipeline.apps.batches.engines import messages, versions
from ml_pipeline.apps.batches.engines.messages import Job
from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import messages as chunks
from ml_pipeline.apps.ml.scoring import pipeline
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored
from ml_pipeline.apps.ml.scoring.messages import Reply
from ml_pipeline.errors import ClusterUnavailable, MLPipelineError

# Unpacked bundles that nobody has asked for in so long make room when the next one comes.
KEPT_S = 86_400.0


def packed(bundle: Bundle) -> bytes:
    """The files of `bundle` in one piece, for `score`. Raises InvalidArtifact."""
    files = {name: bundle.read(name) for name in bundle.files}
    # Of a bundle as trained; it is beside the manifest, not in it.
    with suppress(FileNotFoundError):
        files[bundles.MANIFEST_SIGNATURE] = (bundle.folder / bundles.MANIFEST_SIGNATURE).read_bytes()
    return messages.encode((bundle.document, files))


def score(job: bytes, held: list[Any], cut: bytes, content: bytes) -> bytes:
    """What became of a chunk of a job: a Reply. `held` is Ray's reference to the packed bundle."""
    try:
        if job not in _runs:
            _runs[job] = _begun(messages.job(job), held[0])
        return chunks.encode(Reply(_runs[job].score(msgspec.msgpack.decode(cut, type=Cut), content)))
    except MLPipelineError as error:
        # What has failed goes no further.
        _runs.pop(job, None)
        return chunks.encode(Reply(None, type(error).__name__, error.message))


class _Run:
    """One job in this process: a pipeline with a single child, which gets a chunk whenever there is one."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._folder = folder
        self._chunk: tuple[Cut, bytes] | None = None
        self._results = pipeline.results(
            msgspec.structs.replace(job.terms, folder=str(folder)),
            Path(os.devnull),
            self._chunks(),
            processes=1,
            allowed=Limits(**job.limits),  # type: ignore[arg-type]
            deadline_s=job.deadline_s,
        )

    def score(self, cut: Cut, content: bytes) -> Scored:
        # In use: it makes room for no other.
        os.utime(self._folder)
        self._chunk = cut, content
        _, scored = next(self._results)
        return scored

    def _chunks(self) -> Iterator[tuple[Cut, bytes]]:
        while self._chunk is not None:
            # Each is asked for once, after the result of the one before was taken.
            chunk, self._chunk = self._chunk, None
            yield chunk


# Ray gives a process to tasks of one of its jobs only, and each of ours is one of Ray's.
_runs: dict[bytes, _Run] = {}


def _begun(job: Job, held: Any) -> _Run:
    versions.check(job.versions)
    cache, digest = _cache(), job.terms.digest
    # There once, for all processes and jobs.
    if not bundles.stands(cache / digest, digest):
        # Only where the cluster has started this process.
        import ray

        document, files = msgspec.msgpack.decode(ray.get(held), type=tuple[bytes, dict[str, bytes]])
        _make_room(cache)
        bundles.place_bundle(cache / digest, document, files)
        Bundle(cache / digest, digest).verify()
    return _Run(job, cache / digest)


def _cache() -> Path:
    """A folder that nobody else can have written to."""
    cache = Path(tempfile.gettempdir()) / f"ml_pipeline-bundles-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    about = cache.lstat()
    if cache.is_symlink() or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise ClusterUnavailable("On a node of the Ray cluster the folder for bundles belongs to somebody else.")
    return cache


def _make_room(cache: Path) -> None:
    before = time.time() - KEPT_S
    for folder in cache.iterdir():
        with suppress(OSError):
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder)
