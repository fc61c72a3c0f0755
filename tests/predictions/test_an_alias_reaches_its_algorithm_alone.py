"""Predictions by alias, behind both doors: the algorithm that it names, whatever its status, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server, wait_until


@pytest.fixture(params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, start: Callable[..., Server]) -> Server:
    return start(request.param)


def ids(client: httpx.Client) -> dict[str, int]:
    return {one["name"]: one["id"] for one in client.get("/api/v1/mlalgorithms").json()}


def put(client: httpx.Client, alias: str, algorithm: Any, endpoint: str = ENDPOINT) -> httpx.Response:
    address = f"/api/v1/endpoints/{endpoint}/aliases/{alias}"
    return client.put(address, json={"parent_mlalgorithm": algorithm})


def test_it_reaches_its_algorithm_whatever_its_status(server: Server) -> None:
    with server.client() as client:
        for name, one in ids(client).items():
            assert put(client, "candidate", one).status_code in (200, 201)
            reply = client.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=[PERSON, PERSON])
            assert reply.status_code == 200, reply.text
            assert {(row["algorithm"], row["endpoint"]) for row in reply.json()} == {(name, ENDPOINT)}
            assert set(reply.json()[0]) == set(server.predict(PERSON).json())
            logged = client.get(f"/api/v1/mlrequests/{reply.json()[0]['request_id']}").json()
            assert logged["parent_mlalgorithm"] == one
        escaped = client.post(f"/api/v1/{ENDPOINT}%40candidate/predict", data=PERSON)
        assert escaped.status_code == 200
    assert server.predict(PERSON).json()["algorithm"] == "random_forest"


def test_what_is_asked_for_besides_must_fit(server: Server) -> None:
    with server.client() as client:
        put(client, "candidate", ids(client)["extra_trees"])

        def status(**parameters: str) -> int:
            reply = client.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON, params=parameters)
            told = reply.json()["error"]["message"] if reply.status_code != 200 else "candidate"
            assert "candidate" in told
            return reply.status_code

        assert status(algorithm="extra_trees", version="0.0.1", status="testing", unit="ann") == 200
        assert status(algorithm="random_forest") == 404
        assert status(version="0.0.2") == 404
        assert status(status="production") == 404


def test_what_is_not_named_is_not_found(server: Server) -> None:
    with server.client() as client:
        put(client, "candidate", ids(client)["extra_trees"])
        for path in (
            f"{ENDPOINT}@unknown",
            f"{ENDPOINT}@",
            f"{ENDPOINT}@candidate@candidate",
            f"{ENDPOINT}@%00",
            "nothing@candidate",
            "@candidate",
            "endpoints@candidate",
        ):
            reply = client.post(f"/api/v1/{path}/predict", json=PERSON)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found"), path
        client.delete(f"/api/v1/endpoints/{ENDPOINT}/aliases/candidate")
        assert client.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON).status_code == 404


def test_an_algorithm_that_was_archived_is_told_of(server: Server) -> None:
    with server.client() as client:
        one = ids(client)["extra_trees"]
        put(client, "candidate", one)
        client.post(f"/api/v1/mlalgorithms/{one}/archive")
        reply = client.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON)
        assert reply.status_code == 404
        assert "archived" in reply.json()["error"]["message"]
        assert client.get(f"/api/v1/mlalgorithms/{one}").json()["aliases"] == ["candidate"]
        client.post("/api/v1/mlalgorithmstatuses", json={"parent_mlalgorithm": one, "status": "testing"})
        assert client.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON).status_code == 200


def test_aliases_are_listed_with_who_named_them(server: Server) -> None:
    with server.client("manage") as manager, server.client() as client:
        known = ids(client)
        made = put(manager, "first", known["random_forest"])
        assert made.status_code == 201
        assert put(manager, "second", known["random_forest"]).status_code == 201
        assert put(client, "first", known["extra_trees"]).status_code == 200
        address = f"/api/v1/endpoints/{ENDPOINT}/aliases"
        listed = client.get(address).json()
        assert [(one["name"], one["algorithm"], one["version"], one["created_by"]) for one in listed] == [
            ("second", "random_forest", "0.0.1", "key:manage-key"),
            ("first", "extra_trees", "0.0.1", "key:admin-key"),
        ]
        assert listed[1]["created_at"] > made.json()["created_at"]
        page = client.get(address, params={"limit": 1})
        assert client.get(page.links["next"]["url"]).json() == listed[1:]
        assert client.get(address, params={"name": "first"}).status_code == 400
        assert client.get("/api/v1/endpoints/nothing/aliases").status_code == 404
        assert client.get(f"/api/v1/mlalgorithms/{known['random_forest']}").json()["aliases"] == ["second"]


def test_what_cannot_be_named_is_refused_and_changes_nothing(server: Server) -> None:
    with server.client() as client:
        known = ids(client)
        client.post("/api/v1/endpoints", json={"name": "other"})
        client.post(f"/api/v1/mlalgorithms/{known['decision_tree']}/archive")
        refused = {
            "archived": put(client, "a", known["decision_tree"]),
            "another endpoint": put(client, "a", known["extra_trees"], endpoint="other"),
        }
        for told, reply in refused.items():
            assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")
            assert told in reply.json()["error"]["message"]
        for algorithm in (999_999, 10**30, -1, "x", None, [], True):
            assert put(client, "a", algorithm).status_code == 422, algorithm
        for alias in ("A", "a@b", "a%00", "a%ff", "a" * 64):
            assert put(client, alias, known["extra_trees"]).status_code == 422, alias
            assert client.delete(f"/api/v1/endpoints/{ENDPOINT}/aliases/{alias}").status_code == 404
        assert put(client, "a", known["extra_trees"], endpoint="nothing").status_code == 404
        assert client.get(f"/api/v1/endpoints/{ENDPOINT}/aliases").json() == []


def test_another_process_follows(server: Server, start: Callable[..., Server]) -> None:
    other = start("asgi")
    with server.client() as client, other.client("predict") as asking:
        # Its first request starts to poll.
        assert asking.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON).status_code == 404
        put(client, "candidate", ids(client)["extra_trees"])
        wait_until(lambda: asking.post(f"/api/v1/{ENDPOINT}@candidate/predict", json=PERSON).status_code == 200)
