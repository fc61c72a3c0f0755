"""What tests of batch jobs share: a server behind each door, with a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import servers
from servers import Server


@pytest.fixture(scope="module")
def working(door: Server) -> Iterator[Server]:
    """A running server behind each door in turn, with a worker beside it."""
    with servers.worker(door.home):
        yield door
