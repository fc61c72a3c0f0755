"""Stops over HTTP: twice, on two servers at once, without feedback, while feedback streams in: one decision."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import observers
import pytest
from homes import Home
from servers import Server, wait_until, worker

ENDPOINT = "stopped"


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    """Two on one home, one behind each door, with a worker."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    home = Home(tmp_path / "home", url).make()
    observers.set_up(home, [ENDPOINT])
    running = [Server(door, home, {}) for door in ("asgi", "wsgi")]
    try:
        with worker(home):
            yield [server.start() for server in running]
    finally:
        for server in running:
            server.stop()


class Stream:
    """Predictions and feedback, single and in bulk, that go to both servers while the block runs."""

    def __init__(self, servers: list[Server]) -> None:
        self.statuses: Counter[int] = Counter()
        self.told = 0
        self._clients = [server.client("admin") for server in servers]
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(len(servers))

    def __enter__(self) -> Stream:
        self._runs = [self._pool.submit(self._run, client) for client in self._clients]
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for run in self._runs:
            run.result()
        self._pool.shutdown()
        for client in self._clients:
            client.close()

    def _run(self, client: httpx.Client) -> None:
        draw = random.Random(3)
        for number in itertools.count():
            if self._ended.is_set():
                return
            answers = self._asked(client, "POST", f"/api/v1/{ENDPOINT}/predict", [{"x": 1.0}] * 20)
            told = [{"request_id": one["request_id"], "feedback": draw.choice(("no", "yes"))} for one in answers]
            if number % 2:
                self._asked(client, "POST", "/api/v1/mlrequests/feedback", told)
            for one in told[:2]:
                self._asked(client, "PUT", f"/api/v1/mlrequests/{one['request_id']}", {"feedback": one["feedback"]})
            self.told += 1

    def _asked(self, client: httpx.Client, method: str, address: str, body: Any) -> Any:
        reply = client.request(method, address, json=body)
        self.statuses[reply.status_code] += 1
        return reply.json()


def started(client: httpx.Client) -> int:
    """The id of a test that no evidence is enough for."""
    found = client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT}).json()
    first, second = sorted(found, key=lambda one: one["current_status"] != "production")
    body = {"title": "stopped", "parent_mlalgorithm_1": first["id"], "parent_mlalgorithm_2": second["id"]}
    terms = {"min_labels": 1_000_000, "harm_alpha": 1e-6}
    reply = client.post("/api/v1/abtests?wait=30", json={**body, **terms})
    assert reply.status_code == 201, reply.text
    return int(reply.json()["id"])


def check(client: httpx.Client, test_id: int) -> dict[str, Any]:
    """The record of a test that ended once, its champion in production."""
    record: dict[str, Any] = client.get(f"/api/v1/abtests/{test_id}").json()
    assert (record["state"], record["result"]) == ("finished", "stayed")
    production = client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT, "status": "production"}).json()
    assert [one["id"] for one in production] == [record["parent_mlalgorithm_1"]]
    ends = client.get("/api/v1/events", params={"action": "abtest.ended"}).json()
    assert [one["details"]["abtest"] for one in ends].count(test_id) == 1
    verification = client.get(f"/api/v1/abtests/{test_id}/verification").json()
    assert verification["is_verified"], verification
    return record


def test_without_feedback_and_twice(servers: list[Server]) -> None:
    with servers[0].client("admin") as client, servers[1].client("admin") as other:
        test_id = started(client)
        stops = [one.post(f"/api/v1/abtests/{test_id}/stop") for one in (client, other, client)]
        assert [reply.status_code for reply in stops] == [200] * 3
        assert len({reply.text for reply in stops}) == 1
        record = check(client, test_id)
    assert "no label has come" in record["summary"]
    assert record["labels"] == 0


def test_on_two_servers_at_once_while_feedback_streams_in(servers: list[Server]) -> None:
    clients = [server.client("admin") for server in servers]
    with Stream(servers) as stream, ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            test_id = started(clients[0])
            address = f"/api/v1/abtests/{test_id}"
            wait_until(lambda at=address: clients[1].get(at).json()["labels"] > 40, 60, pause_s=0.2)  # type: ignore[misc]
            addresses = (f"{address}/stop", f"/api/v1/stop_ab_test/{test_id}")
            stops = list(pool.map(lambda one, at: one.post(at), clients, addresses))
            assert [reply.status_code for reply in stops] == [200, 200], [reply.text for reply in stops]
            assert len({(reply.json()["ended_at"], reply.json()["summary"]) for reply in stops}) == 1
            wait_until(lambda at=stream.told: stream.told > at + 3, 60)  # type: ignore[misc]
            check(clients[1], test_id)
    assert set(stream.statuses) == {200}, stream.statuses
    for client in clients:
        client.close()
