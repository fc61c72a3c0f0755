"""As the file beside this one, on PostgreSQL; a file of its own so that both run at once."""

from __future__ import annotations

from pathlib import Path

import lives
import pytest
from homes import Home


def test_no_life_of_an_algorithm_departs_from_the_contract(
    postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lives.live(Home(tmp_path / "home", postgres_url).make(), whole=request.config.getoption("whole"))
