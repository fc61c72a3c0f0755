"""The three income classifiers as the store holds them once they are registered."""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ml_pipeline.apps.ml import registration
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.apps.ml.registration import Registered


@pytest.fixture(scope="session")
def store(shared: Path) -> ArtifactStore:
    """Where the registered classifiers are; tests only read it."""
    return ArtifactStore(shared / "ml-store")


@pytest.fixture(scope="session")
def registered(shared: Path, bundles: Path, store: ArtifactStore) -> dict[str, Registered]:
    """Name to record of the three classifiers, registered once a test run."""
    listing = shared / "ml-registered.json"
    with (shared / "ml-registered.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not listing.exists():
            records = {path.name: registration.prepared(Bundle(path), store) for path in sorted(bundles.iterdir())}
            listing.write_text(json.dumps({name: asdict(record) for name, record in records.items()}))
    return {name: Registered(**record) for name, record in json.loads(listing.read_text()).items()}
