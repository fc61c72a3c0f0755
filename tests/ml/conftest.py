"""The three income classifiers as the store holds them once they are registered."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_models import TRUSTED, Kept, signed, store_at

from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.registration import supervisor
from ml_pipeline.apps.ml.registration.submission import FileGiven, Registered, Submission

MEMORY_BYTES = 4_000_000_000
# Where a child finds the modules of all tests.
IMPORTABLE = str(Path(__file__).resolve().parents[1])


@pytest.fixture(scope="session")
def store(shared: Path) -> ArtifactStore:
    """Where the registered classifiers are; tests only read it."""
    return store_at(shared / "ml-store")


@pytest.fixture(scope="session")
def registered(shared: Path, bundles: Path, store: ArtifactStore) -> dict[str, Kept]:
    """Name to digest and record of the three classifiers, registered once a test run."""
    listing = shared / "ml-registered.json"
    with (shared / "ml-registered.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not listing.exists():
            work = shared / "ml-work"
            kept = {path.name: _kept(path, work / path.name, store) for path in sorted(bundles.iterdir())}
            listing.write_text(json.dumps({name: [one.digest, one.record.to_json()] for name, one in kept.items()}))
    found = json.loads(listing.read_text())
    return {name: Kept(digest, Registered.from_json(record)) for name, (digest, record) in found.items()}


def _kept(source: Path, work: Path, store: ArtifactStore) -> Kept:
    copy = signed(Bundle(Path(shutil.copytree(source, work / "source"))))
    (work / "examined").mkdir()
    submission = Submission(FileGiven(str(copy.folder), "folder"), trusted_keys=TRUSTED)
    outcome = supervisor.examined(submission, work / "examined", memory_bytes=MEMORY_BYTES)
    store.add(outcome.bundle)
    return Kept(outcome.bundle.digest, outcome.registered)


@pytest.fixture(scope="module")
def native_nursery() -> Iterator[Nursery]:
    """Children that find the modules of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", IMPORTABLE)
        made = Nursery(Limits(memory_bytes=2_000_000_000, cpu_s=None, file_bytes=1_000_000, nice=0))
        yield made
        made.close()
