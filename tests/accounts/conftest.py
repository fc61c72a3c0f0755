"""What tests of access share: a home with two teams, served behind each door in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import two_teams
from homes import Home
from servers import Server


@pytest.fixture(scope="module")
def secrets(module_home: Home) -> dict[str, str]:
    """The keys by name, once both teams are in the module's home."""
    return two_teams.make(module_home)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def two_teams_server(request: pytest.FixtureRequest, module_home: Home, secrets: dict[str, str]) -> Iterator[Server]:
    """A running server behind each door in turn; tests must not depend on each other's traces."""
    one = Server(request.param, module_home, {}).start()
    yield one
    one.stop()
