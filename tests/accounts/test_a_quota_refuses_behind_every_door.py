"""Quotas of keys and teams: 429 with Retry-After behind every door, together over processes and restarts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server, wait_until

PREDICT = f"/api/v1/{ENDPOINT}/predict"


def key(server: Server, name: str, **quotas: Any) -> dict[str, str]:
    """The headers of a new key with these quotas, once it is served."""
    with server.client("admin") as admin:
        made = admin.post("/api/v1/keys", json={"name": name, "scopes": ["predict", "feedback", "read"], **quotas})
    assert made.status_code == 201, made.text
    headers = {"X-Api-Key": made.json()["key"]}
    wait_until(lambda: httpx.post(server.url + PREDICT, json={}, headers=headers).status_code != 401)
    return headers


def asked(server: Server, headers: dict[str, str], rows: int) -> httpx.Response:
    return httpx.post(server.url + PREDICT, json=[PERSON] * rows, headers=headers, timeout=60)


def refused(reply: httpx.Response) -> bool:
    if reply.status_code == 429:
        assert reply.json()["error"]["code"] == "quota_exceeded"
        assert int(reply.headers["Retry-After"]) >= 1
        return True
    assert reply.status_code in (200, 404), reply.text
    return False


def test_rows_a_day_are_exact_and_what_is_invalid_counts_for_nothing(door: Server) -> None:
    headers = key(door, f"rows-{door.door}", rows_per_day=10)
    for _ in range(3):
        assert httpx.post(door.url + PREDICT, json=[{"age": "x"}] * 10, headers=headers).status_code == 422
    assert [refused(asked(door, headers, rows)) for rows in (4, 7, 6, 1)] == [False, True, False, True]


def test_requests_a_second_are_bounded_whichever_route_they_take(door: Server) -> None:
    headers = key(door, f"requests-{door.door}", requests_per_s=3)
    told = "/api/v1/mlrequests/00000000-0000-7000-8000-000000000000"
    begun = time.monotonic()
    with httpx.Client(base_url=door.url, headers=headers) as client:
        replies = [
            reply
            for _ in range(30)
            for reply in (
                client.get("/api/v1/endpoints"),
                client.post(PREDICT, json=PERSON),
                client.put(told, json={"feedback": "x"}),
            )
        ]
    seconds = time.monotonic() - begun
    passed = sum(not refused(reply) for reply in replies)
    assert 1 <= passed <= 3 * (int(seconds) + 1)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_the_keys_of_a_team_share_its_quota(start: Callable[..., Server], kind: str) -> None:
    door = start(kind)

    def limit(rows: int | None) -> int:
        with door.client("admin") as admin:
            return admin.patch("/api/v1/teams/default", json={"rows_per_day": rows}).status_code

    first, second = (key(door, f"team-{door.door}-{n}", team="default") for n in range(2))
    assert limit(0) == 422
    # What was let through before there was a quota counts for none.
    assert limit(5) == 200
    wait_until(lambda: refused(asked(door, first, 6)))
    assert [refused(asked(door, one, 3)) for one in (first, second)] == [False, True]
    assert limit(None) == 200
    wait_until(lambda: not refused(asked(door, second, 3)))


def test_a_quota_can_be_raised_and_lifted(door: Server) -> None:
    headers = key(door, f"raised-{door.door}", rows_per_day=1)
    assert [refused(asked(door, headers, 1)) for _ in range(2)] == [False, True]
    with door.client("admin") as admin:
        (one,) = admin.get("/api/v1/keys", params={"name": f"raised-{door.door}"}).json()
        assert admin.patch(f"/api/v1/keys/{one['id']}", json={"rows_per_day": 3}).json()["rows_per_day"] == 3
        wait_until(lambda: not refused(asked(door, headers, 1)))
        wait_until(lambda: refused(asked(door, headers, 1)))
        assert admin.patch(f"/api/v1/keys/{one['id']}", json={"rows_per_day": None}).json()["rows_per_day"] is None
        wait_until(lambda: not refused(asked(door, headers, 100)))


def test_processes_learn_of_each_other_and_a_restart_forgets_nothing(start: Callable[..., Server]) -> None:
    first, second = start("asgi"), start("wsgi")
    headers = key(first, "shared", rows_per_day=50)
    wait_until(lambda: httpx.post(second.url + PREDICT, json={}, headers=headers).status_code != 401)
    assert not refused(asked(first, headers, 50))
    passed = []

    def is_refused() -> bool:
        passed.append(not refused(asked(second, headers, 1)))
        return not passed[-1]

    # What it lets through before it knows is bounded by its own quota.
    wait_until(is_refused)
    assert sum(passed) <= 50
    first.stop()
    second.stop()
    assert refused(asked(start("asgi"), headers, 1))
