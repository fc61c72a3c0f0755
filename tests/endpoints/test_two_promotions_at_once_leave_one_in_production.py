"""Promotions that race, through two server processes on one database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server

ROUNDS = 15


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)])
def racing_home(request: pytest.FixtureRequest, prepared_home: Home, bundles: Path, tmp_path: Path) -> Home:
    if request.param == "sqlite":
        return prepared_home.copy(tmp_path / "home")
    if request.param == "mysql":
        moved: Home = request.getfixturevalue("mysql_home")
        return moved
    home = Home(tmp_path / "home", request.getfixturevalue("postgres_url")).make()
    for version in ("1", "2", "3"):
        home.register(bundles / "decision_tree", version=version)
    return home


@pytest.fixture
def replicas(racing_home: Home) -> Iterator[list[Server]]:
    servers = [Server(door, racing_home, {}).start() for door in ("asgi", "wsgi")]
    yield servers
    for server in servers:
        server.stop()


def test_exactly_one_is_left_and_history_is_whole(replicas: list[Server]) -> None:
    barrier = Barrier(len(replicas))

    def promote(replica: Server, algorithm: int) -> int:
        with replica.client("manage") as client:
            barrier.wait(10)
            body = {"parent_mlalgorithm": algorithm, "status": "production"}
            return client.post("/api/v1/mlalgorithmstatuses", json=body).status_code

    with ThreadPoolExecutor(len(replicas)) as pool, replicas[0].client() as client:
        ids = [row["id"] for row in client.get("/api/v1/mlalgorithms").json()]
        for turn in range(ROUNDS):
            pair = [ids[turn % 3], ids[(turn + 1) % 3]]
            codes = list(pool.map(promote, replicas, pair))
            assert set(codes) <= {200, 201}
            active = client.get("/api/v1/mlalgorithmstatuses?active=true").json()
            assert len(active) == 3
            in_production = [row["parent_mlalgorithm"] for row in active if row["status"] == "production"]
            assert len(in_production) == 1
            assert in_production[0] in pair
        history = client.get(f"/api/v1/endpoints/{ENDPOINT}/history?limit=1000").json()
    assert [row["created_at"] for row in history] == sorted((row["created_at"] for row in history), reverse=True)
    assert replicas[0].predict(PERSON).status_code == 200
