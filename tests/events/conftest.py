"""What tests of receivers share: a server that receives webhooks, and loopback allowed as a target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from listeners import Listener, listening
from pytest_django import Settings
from told import LOOPBACK


@pytest.fixture
def listener(settings: Settings) -> Iterator[Listener]:
    """It listens on loopback, which is allowed."""
    settings.WEBHOOK_ALLOW = LOOPBACK
    with listening() as one:
        yield one
