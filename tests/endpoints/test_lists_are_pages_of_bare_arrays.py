"""Lists: newest first, in keyset pages, filtered from an allow-list; bulk feedback as JSON and as CSV."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from people import PERSON
from servers import BY_WSGI, Server

pytestmark = BY_WSGI


@pytest.fixture(scope="module")
def logged(door: Server) -> list[str]:
    """The ids of 25 requests, oldest first."""
    return [row["request_id"] for row in door.predict([PERSON] * 25, unit=door.door).json()]


def pages(client: httpx.Client, path: str) -> list[list[dict[str, Any]]]:
    result = []
    address: str | None = path
    while address:
        page = client.get(address)
        assert page.status_code == 200, page.text
        result.append(page.json())
        address = page.links["next"]["url"] if "next" in page.links else None
    return result


def test_pages_hold_every_row_once_newest_first(door: Server, logged: list[str]) -> None:
    with door.client("read") as client:
        found = pages(client, f"/api/v1/mlrequests?unit={door.door}&limit=10")
    assert [len(page) for page in found] == [10, 10, 5]
    assert [row["id"] for page in found for row in page] == logged[::-1]


def test_rows_that_arrive_between_pages_move_nothing(door: Server, logged: list[str]) -> None:
    with door.client("read") as client:
        first = client.get(f"/api/v1/mlrequests?unit={door.door}&limit=10")
        door.predict(PERSON, unit="other")
        second = client.get(first.links["next"]["url"])
    assert [row["id"] for row in second.json()] == logged[::-1][10:20]


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("mlalgorithms?status=production", ["random_forest"]),
        ("mlalgorithms?name=extra_trees", ["extra_trees"]),
        ("mlalgorithms?endpoint=income_classifier", ["decision_tree", "extra_trees", "random_forest"]),
        ("mlalgorithms?endpoint=nothing", []),
    ],
)
def test_filters_filter(door: Server, query: str, versions: list[str]) -> None:
    with door.client("read") as client:
        assert sorted(row["name"] for row in client.get(f"/api/v1/{query}").json()) == versions


def test_a_filter_with_a_bad_value_is_refused(door: Server) -> None:
    with door.client("read") as client:
        for query in ("mlalgorithms?status=live", "mlrequests?parent_mlalgorithm=x", "mlalgorithmstatuses?status=1"):
            reply = client.get(f"/api/v1/{query}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_input"), query


def test_no_text_in_a_query_breaks_anything(door: Server) -> None:
    with door.client("read") as client:
        for text in ("%00", "%ff", "%F0%9F%98%80", "' OR 1=1 --", "9" * 400, "-1", ""):
            for query in ("mlrequests?unit=", "mlrequests?before=", "mlrequests?limit=", "endpoints?name="):
                assert client.get(f"/api/v1/{query}{text}").status_code < 500, (query, text)


def test_bulk_feedback_in_json_and_csv(door: Server, logged: list[str]) -> None:
    stranger = "00000000-0000-7000-8000-000000000000"
    lines = [{"request_id": one, "feedback": ">50K"} for one in logged[:10]]
    lines += [
        {"request_id": stranger, "feedback": ">50K"},
        {"request_id": logged[0], "feedback": "rich"},
        {"feedback": 1},
    ]
    csv = "request_id,feedback\n" + "".join(f"{one},<=50K\n" for one in logged[9:20])
    with door.client("feedback") as client:
        told = client.post("/api/v1/mlrequests/feedback", json=lines).json()
        assert (told["accepted"], told["unchanged"], told["unknown"]) == (10, 0, [stranger])
        assert len(told["invalid"]) == 2
        again = client.post("/api/v1/mlrequests/feedback", json=lines[:10]).json()
        assert (again["accepted"], again["unchanged"]) == (0, 10)
        by_csv = client.post("/api/v1/mlrequests/feedback", content=csv, headers={"Content-Type": "text/csv"})
        assert by_csv.json() == {"accepted": 11, "unchanged": 0, "unknown": [], "invalid": []}
        assert client.post("/api/v1/mlrequests/feedback", json={"request_id": stranger}).status_code == 400
    with door.client("read") as client:
        rows = {row["id"]: row["feedback"] for row in client.get(f"/api/v1/mlrequests?unit={door.door}").json()}
    assert [rows[one] for one in logged] == [">50K"] * 10 + ["<=50K"] * 10 + [None] * 5


def test_endpoints_are_made_described_and_deleted(door: Server) -> None:
    with door.client("manage") as client, door.client("read") as reader:
        name = f"shop-{door.door}"
        made = client.post("/api/v1/endpoints", json={"name": name, "owner": "ann", "created_by": "somebody"})
        assert (made.status_code, made.json()["name"], made.json()["owner"]) == (201, name, "ann")
        assert client.post("/api/v1/endpoints", json={"name": name}).status_code == 409
        changed = client.patch(
            f"/api/v1/endpoints/{name}", json={"description": "sells", "created_at": "never", "id": 9}
        )
        assert (changed.json()["description"], changed.json()["settings"]) == ("sells", {})
        assert changed.json()["id"] == made.json()["id"]
        assert client.put(f"/api/v1/endpoints/{name}", json={"owner": "bob"}).json()["owner"] == "bob"
        assert reader.get(f"/api/v1/endpoints/{name}").json()["description"] == "sells"
        assert client.delete(f"/api/v1/endpoints/{name}").status_code == 204
        assert reader.get(f"/api/v1/endpoints/{name}").status_code == 404
