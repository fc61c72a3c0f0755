"""What tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Server

from ml_pipeline.client import Client


@pytest.fixture
def client(door: Server) -> Iterator[Client]:
    """A client behind each door in turn, with a key that opens everything."""
    with Client(door.url, door.home.keys["admin"]) as one:
        yield one
