"""Registrations: a submission examined in a child process, its bundle stored; and what a killed one left is cleared.

Bytes come before the record: a version whose bytes are not stored never exists. Bytes without a version may be left
behind by a kill, and the next clean-up removes them.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.origins import ORIGIN, ServerKey
from ml_pipeline.apps.ml.registration import supervisor
from ml_pipeline.apps.ml.registration.submission import FileGiven, Submission
from ml_pipeline.apps.ml.registration.supervisor import Outcome
from ml_pipeline.errors import Overloaded

logger = logging.getLogger(__name__)

# In one process; each takes a core while it lasts.
MAX_AT_ONCE = 2
# Stored bytes without a version may belong to a registration that is just about to be recorded.
GRACE = timedelta(hours=1)

_WORK = "registration-"
_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


class Cleared(NamedTuple):
    """What a clean-up removed: work folders and files, half-written bundles, and bundles that no version has."""

    work: int
    bundles: int


@functools.cache
def store() -> ArtifactStore:
    """The store of all bundles."""
    return ArtifactStore(storages["bundles"], settings.CACHE_DIR)


def trusted_keys() -> tuple[str, ...]:
    """Whose signature a joblib may bear: the keys that the operator lists, and the server's own."""
    return (*settings.TRUSTED_KEYS, _origin().public_key)


@contextmanager
def examined(submission: Submission) -> Iterator[Outcome]:
    """The outcome of `submission`, its files there until the block ends. Raises InvalidArtifact, and Overloaded."""
    if not _slots.acquire(blocking=False):
        raise Overloaded(f"{MAX_AT_ONCE} registrations are under way in this process.", retry_after_s=10)
    try:
        with _work_folder() as folder:
            yield supervisor.examined(submission, folder, memory_bytes=settings.REGISTRATION_MEMORY_BYTES)
    finally:
        _slots.release()


@contextmanager
def vouched_for(source: Bundle) -> Iterator[FileGiven]:
    """A copy of `source` that the server has signed: from a folder that the operator trusts."""
    with _work_folder() as folder:
        files = {name: source.read(name) for name in source.files}
        copy = bundles.place_bundle(folder / "source", source.document, files)
        (copy.folder / bundles.MANIFEST_SIGNATURE).write_bytes(_origin().sign(source.document))
        yield FileGiven(str(copy.folder), "folder")


def clean_up(grace: timedelta = GRACE) -> Cleared:
    """What was removed: work that nobody is at any more, and bundles older than `grace` that no version has."""
    staged = store().clear_staged(timezone.now() - grace)
    return Cleared(_clear_work(grace) + staged, _clear_bundles(grace))


@functools.cache
def _origin() -> ServerKey:
    return ServerKey(settings.SECRET_KEY, ORIGIN)


@contextmanager
def _work_folder() -> Iterator[Path]:
    name = f"{_WORK}{uuid4().hex}"
    made, folder = settings.WORK_DIR / f".{name}", settings.WORK_DIR / name
    made.mkdir(mode=0o700, parents=True)
    try:
        # Held as long as this process lives and works here: how a clean-up tells the living from the dead.
        with (made / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Seen by a clean-up only once it is held.
            made.rename(folder)
            yield folder
    finally:
        for one in (made, folder):
            shutil.rmtree(one, ignore_errors=True)


def _clear_work(grace: timedelta) -> int:
    removed = 0
    for path in settings.WORK_DIR.iterdir():
        if path.name.startswith(_WORK):
            removed += _clear_abandoned(path)
        # Of another process's beginning only the age tells whether it is still at it. What else is there is not ours.
        elif _age(path) > grace:
            removed += _clear_begun(path)
    return removed


def _clear_begun(path: Path) -> int:
    # A work folder before it was locked; an upload on its way in, as Django names it.
    if path.name.startswith(f".{_WORK}"):
        shutil.rmtree(path, ignore_errors=True)
    elif ".upload" in path.name and path.is_file():
        path.unlink(missing_ok=True)
    else:
        return 0
    return 1


def _clear_abandoned(folder: Path) -> int:
    try:
        with (folder / "lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return 0
    except FileNotFoundError:
        # Gone meanwhile.
        return 0
    return 1


def _age(path: Path) -> timedelta:
    try:
        return timedelta(seconds=max(0.0, timezone.now().timestamp() - path.stat().st_mtime))
    except FileNotFoundError:
        return timedelta(0)


def _clear_bundles(grace: timedelta) -> int:
    known = set(MLAlgorithm.objects.values_list("artifact_digest", flat=True))
    before = timezone.now() - grace
    removed = 0
    for digest, stored_at in list(store().stored()):
        if digest not in known and stored_at < before:
            removed += _clear_bundle(digest)
    return removed


def _clear_bundle(digest: str) -> int:
    with transaction.atomic():
        # A registration raises the revision too, so none can be recorded between the look and the removal.
        revisions.lock()
        if MLAlgorithm.objects.filter(artifact_digest=digest).exists():
            return 0
        store().discard(digest)
    return 1
