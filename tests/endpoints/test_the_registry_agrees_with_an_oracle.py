"""Lives of algorithms, step by step, end as the contract says: on SQLite. On PostgreSQL: the file beside this one."""

from __future__ import annotations

from pathlib import Path

import lives
import pytest
from homes import Home


def test_no_life_of_an_algorithm_departs_from_the_contract(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    lives.live(Home(tmp_path / "home").make(), whole=request.config.getoption("whole"))
