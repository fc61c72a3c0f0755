"""Tags: put, changed, removed and filtered by, over HTTP; refused where they break their rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from registered import algorithm
from servers import Server

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.endpoints import aliases, tags
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import InvalidInput


@pytest.fixture
def client(door: Server) -> Iterator[httpx.Client]:
    with door.client("admin") as client:
        yield client


@pytest.fixture
def address(door: Server, client: httpx.Client) -> str:
    """An algorithm without tags."""
    one = client.get("/api/v1/mlalgorithms?name=extra_trees").json()[0]
    for name in one["tags"]:
        client.delete(f"/api/v1/mlalgorithms/{one['id']}/tags/{name}")
    return f"/api/v1/mlalgorithms/{one['id']}"


def test_it_is_put_changed_and_removed(client: httpx.Client, address: str) -> None:
    def put(name: str, value: Any) -> tuple[int, Any]:
        reply = client.put(f"{address}/tags/{name}", json={"value": value})
        return reply.status_code, reply.json()

    assert put("review", "ann") == (201, {"name": "review", "value": "ann"})
    assert put("review", " bob, é ") == (200, {"name": "review", "value": " bob, é "})
    assert put("review", " bob, é ")[0] == 200
    assert put("data.set-2_b", "")[0] == 201
    assert client.get(address).json()["tags"] == {"data.set-2_b": "", "review": " bob, é "}
    assert client.get(f"{address}/tags/review").json() == {"name": "review", "value": " bob, é "}
    assert client.delete(f"{address}/tags/review").status_code == 204
    assert client.delete(f"{address}/tags/review").status_code == 404
    assert client.get(f"{address}/tags/review").status_code == 404
    assert client.get(address).json()["tags"] == {"data.set-2_b": ""}


def test_a_form_puts_it_too(client: httpx.Client, address: str) -> None:
    assert client.put(f"{address}/tags/review", data={"value": "ann"}).status_code == 201
    assert client.get(address).json()["tags"] == {"review": "ann"}


def test_the_list_is_filtered_by_name_and_by_value(client: httpx.Client, address: str) -> None:
    def found(tag: str) -> list[str]:
        reply = client.get("/api/v1/mlalgorithms", params={"tag": tag})
        assert reply.status_code == 200, reply.text
        return [f"/api/v1/mlalgorithms/{one['id']}" for one in reply.json()]

    client.put(f"{address}/tags/stage", json={"value": "a:b"})
    client.put(f"{address}/tags/empty", json={"value": ""})
    assert found("stage") == found("stage:a:b") == found("empty") == found("empty:") == [address]
    assert found("stage:a") == found("stage:") == found("a:b") == found("Stage") == []


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("review", {}, 422),
        ("review", {"value": None}, 422),
        ("review", {"value": {"a": 1}}, 422),
        ("review", {"value": "x", "name": "y", "more": 1}, 422),
        ("review", {"value": "x" * 257}, 422),
        ("review", {"value": "two\nlines"}, 422),
        ("Review", {"value": "x"}, 422),
        ("a" * 64, {"value": "x"}, 422),
        ("a%00", {"value": "x"}, 422),
        ("a%ff", {"value": "x"}, 422),
        ("a:b", {"value": "x"}, 422),
        ("a/b", {"value": "x"}, 404),
    ],
)
def test_what_breaks_a_rule_changes_nothing(
    client: httpx.Client, address: str, name: str, body: dict[str, Any], status: int
) -> None:
    assert client.put(f"{address}/tags/{name}", json=body).status_code == status
    assert client.get(address).json()["tags"] == {}
    assert client.delete(f"{address}/tags/{name}").status_code == 404
    assert client.get(f"{address}/tags/{name}").status_code == 404
    assert client.put(f"/api/v1/mlalgorithms/999/tags/{name}", json={"value": "x"}).status_code == 404


@pytest.mark.django_db
def test_many_are_put_together_or_not_at_all() -> None:
    one = algorithm("1")
    before = revisions.current()
    tags.put_all(one, {"a": "1", "b": ""}, actor="ann")
    with pytest.raises(InvalidInput) as refused:
        tags.put_all(one, {"a": "2", "B": "", "c": "\x00"}, actor="ann")
    assert len(refused.value.complaints) == 2
    assert {tag.name: tag.value for tag in one.tags.all()} == {"a": "1", "b": ""}
    assert revisions.current() == before


@pytest.mark.django_db
def test_a_list_costs_the_same_queries_however_long_it_is() -> None:
    _, secret = keys.create("reader", ["read"], actor="tests")
    browser = Client(headers={"Authorization": f"Bearer {secret}"})

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = browser.get("/api/v1/mlalgorithms").json()
        return rows

    def register(version: str) -> None:
        one = algorithm(version)
        tags.put_all(one, {"a": version, "b": ""}, actor="ann")
        aliases.put(one.parent_endpoint, f"v{version}", one, actor="ann")

    register("1")
    with CaptureQueriesContext(connection) as short:
        assert len(listed()) == 1
    for version in "23456":
        register(version)
    with CaptureQueriesContext(connection) as long:
        rows = listed()
    assert len(long) == len(short)
    assert not any("reference_profile" in query["sql"] for query in long)
    assert [(row["tags"], row["aliases"]) for row in rows] == [
        ({"a": version, "b": ""}, [f"v{version}"]) for version in "654321"
    ]
