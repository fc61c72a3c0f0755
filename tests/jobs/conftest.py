"""A home whose jobs count, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import Home
from workers import Counting


@pytest.fixture(params=["sqlite", "postgres"])
def counting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counting]:
    """Jobs that count on each database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    counting = Counting(Home(tmp_path / "home", url).make(), tmp_path).make()
    yield counting
    counting.stop()
