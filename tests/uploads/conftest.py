"""Servers that take uploads: a small home with one honest model in production, and a key that the operator trusts."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wine
from homes import Home, once
from hostile_programs import TRUSTED
from servers import Server

ENVIRONMENT = {"ML_PIPELINE_TRUSTED_KEYS": base64.b64encode(TRUSTED.public_key().public_bytes_raw()).decode()}


class UploadsHome(Home):
    """A home whose processes can import the models in this folder too."""

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return {**found, "PYTHONPATH": os.pathsep.join((found["PYTHONPATH"], str(Path(__file__).parent)))}

    def copy(self, folder: Path) -> UploadsHome:
        return UploadsHome(super().copy(folder).folder)


_PROMOTED = """
import django
django.setup()
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
statuses.move(MLAlgorithm.objects.get(name="honest"), "production", actor="tests", reason="set up")
"""


@pytest.fixture(scope="session")
def prepared_home(shared: Path) -> Home:
    """A home with the endpoint `neighbour`, whose one algorithm is in production; copied by tests, never changed."""
    home = UploadsHome(shared / "uploads-home")
    with once(shared / "uploads-home.lock"):
        if not (home.folder / "complete").exists():
            home.make()
            server = Server("asgi", home, {}).start()
            try:
                with server.client("manage") as client:
                    form = wine.form("honest", endpoint="neighbour")
                    reply = client.post(wine.UPLOADS, data=form, files=wine.files(wine.skops_file(), "m.skops"))
                    assert reply.status_code == 201, reply.text
            finally:
                server.stop()
            home.python(_PROMOTED)
            (home.folder / "complete").touch()
    return home


@pytest.fixture
def start(home: Home) -> Iterator[Callable[..., Server]]:
    """As everywhere, with the key that is trusted here."""
    with contextlib.ExitStack() as stack:

        def begin(door: str = "asgi", **environment: str) -> Server:
            server = Server(door, home, {**ENVIRONMENT, **environment})
            stack.callback(server.stop)
            return server.start()

        yield begin


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def door(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    """As everywhere, with the key that is trusted here."""
    server = Server(request.param, module_home, ENVIRONMENT).start()
    yield server
    server.stop()
