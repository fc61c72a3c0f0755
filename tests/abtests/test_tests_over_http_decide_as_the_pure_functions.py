"""Tests over HTTP, their labels late and in bulk, decide what the pure functions say of the client's own record."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import observers
import pytest
from homes import Home
from observers import Observer
from servers import Server, worker

# How often the arms are right, and what comes of it where that is certain enough.
ARMS = {"better": ((0.6, 0.95), "promoted"), "worse": ((0.95, 0.6), "harmful"), "alike": ((0.8, 0.8), None)}
# An arm that does harm is out by then.
HARMFUL_S = 30.0


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """On each database, with a worker."""
    fixtures = {"postgresql": "postgres_url", "mysql": "mysql_url"}
    url = request.getfixturevalue(fixtures[request.param]) if request.param in fixtures else ""
    home = Home(tmp_path / "home", url).make()
    observers.set_up(home, list(ARMS))
    running = Server("asgi", home, {})
    try:
        with worker(home):
            yield running.start()
    finally:
        running.stop()


def test_they_decide_alike_and_no_harm_lasts(server: Server) -> None:
    def observed(name: str) -> Observer:
        accuracies, expected = ARMS[name]
        with server.client("admin") as client:
            observer = Observer(client, name, accuracies)
            observer.run(random.Random(name))
            result = observer.compare()
            observer.verify()
        assert expected in (None, result)
        return observer

    with ThreadPoolExecutor(len(ARMS)) as pool:
        found = dict(zip(ARMS, pool.map(observed, ARMS), strict=True))
    print({name: round(one.lateness_s, 1) for name, one in found.items()})
    assert found["worse"].lateness_s < HARMFUL_S
