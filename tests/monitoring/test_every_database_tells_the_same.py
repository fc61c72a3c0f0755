"""Live performance and drift are the same, whatever database the log is in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import REPOSITORY, Home

SCRIPT = REPOSITORY / "tests" / "monitoring" / "telling.py"


def told(home: Home) -> dict[str, Any]:
    """What the API says in a home in which nothing was but its database."""
    home.make()
    found: dict[str, Any] = json.loads(home.run(sys.executable, str(SCRIPT)).stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return told(Home(tmp_path_factory.mktemp("telling") / "home"))


def test_it_says_what_was_logged(on_sqlite: dict[str, Any]) -> None:
    one, other = sorted(on_sqlite["metrics"]["algorithms"], key=lambda one: -one["requests"])
    assert (one["requests"], other["requests"]) == (1_620, 180)
    tests = on_sqlite["recorded"]["tests"]
    assert [(test["rows"], test["is_alarm"]) for test in tests] == [(540, True), (540, False), (540, False)]
    assert len(on_sqlite["metrics"]["series"]) == 3


@pytest.mark.parametrize("url", ["postgres_url", pytest.param("mysql_url", marks=pytest.mark.services)])
def test_another_database_says_the_same(
    url: str, on_sqlite: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert told(Home(tmp_path / "home", request.getfixturevalue(url))) == on_sqlite
