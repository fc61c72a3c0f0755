"""Homes whose algorithms are told apart by their answers."""

from __future__ import annotations

import fcntl
from pathlib import Path

import adders
import pytest
from homes import Home


@pytest.fixture(scope="session")
def prepared_home(shared: Path) -> Home:
    """A home on SQLite that `adders.prepared` made; copied by tests, never changed."""
    home = Home(shared / "adders-home")
    with (shared / "adders-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home.folder / "complete").exists():
            adders.prepared(home)
            (home.folder / "complete").touch()
    return home


@pytest.fixture
def postgres_home(tmp_path: Path, postgres_url: str) -> Home:
    """As `home`, on PostgreSQL."""
    return adders.prepared(Home(tmp_path / "postgres-home", postgres_url))
