"""`kill -9` under load over PostgreSQL, behind both doors: every answered prediction is in the log exactly once."""

from __future__ import annotations

import kills
import pytest
from homes import Home


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_what_was_answered_before_each_kill_is_logged_once(postgres_home: Home, door: str) -> None:
    kills.survive(postgres_home, door, f"postgresql behind {door}")
