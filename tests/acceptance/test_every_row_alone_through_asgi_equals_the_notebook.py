"""All 16,281 test rows, one request each, through the ASGI door: answered as in a notebook, each logged once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from notebook import assert_every_row_alone_is_equal_and_logged_once
from servers import Server


def test_every_row_alone(start: Callable[..., Server], bundles: Path) -> None:
    assert_every_row_alone_is_equal_and_logged_once(start("asgi"), bundles)
