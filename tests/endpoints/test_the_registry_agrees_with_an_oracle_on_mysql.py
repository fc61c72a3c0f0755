"""As the file beside this one, on MariaDB."""

from __future__ import annotations

from pathlib import Path

import lives
import pytest
from homes import Home

pytestmark = pytest.mark.services


def test_no_life_of_an_algorithm_departs_from_the_contract(
    mysql_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lives.live(Home(tmp_path / "home", mysql_url).make(), whole=request.config.getoption("whole"))
