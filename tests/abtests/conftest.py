"""What tests of A/B tests over HTTP share: the three algorithms, and whoever may do anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from homes import ENDPOINT
from servers import Server

from ml_pipeline.client import Client


@pytest.fixture
def algorithms(door: Server) -> dict[str, int]:
    """Name to id."""
    with door.client("read") as client:
        found = client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT}).json()
    return {one["name"]: one["id"] for one in found}


@pytest.fixture
def admin(door: Server) -> Iterator[Client]:
    with Client(door.url, door.home.keys["admin"]) as client:
        yield client
