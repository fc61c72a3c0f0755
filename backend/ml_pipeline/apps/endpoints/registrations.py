"""Registrations: a submission examined in a child process, its bundle stored; and what a killed one left is cleared.

Bytes come before the record: a version whose bytes are not stored never exists. Bytes without a version may be left
behind by a kill, and the next clean-up removes them.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import work_folders
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
        with work_folders.made(work_folders.REGISTRATION) as folder:
            yield supervisor.examined(submission, folder, memory_bytes=settings.REGISTRATION_MEMORY_BYTES)
    finally:
        _slots.release()


@contextmanager
def vouched_for(source: Bundle) -> Iterator[FileGiven]:
    """A copy of `source` that the server has signed: from a folder that the operator trusts."""
    with work_folders.made(work_folders.REGISTRATION) as folder:
        files = {name: source.read(name) for name in source.files}
        copy = bundles.place_bundle(folder / "source", source.document, files)
        (copy.folder / bundles.MANIFEST_SIGNATURE).write_bytes(_origin().sign(source.document))
        yield FileGiven(str(copy.folder), "folder")


def clean_up(grace: timedelta = GRACE) -> Cleared:
    """What was removed: work that nobody is at any more, and bundles older than `grace` that no version has."""
    staged = store().clear_staged(timezone.now() - grace)
    return Cleared(work_folders.clear(grace) + staged, _clear_bundles(grace))


@functools.cache
def _origin() -> ServerKey:
    return ServerKey(settings.SECRET_KEY, ORIGIN)


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
