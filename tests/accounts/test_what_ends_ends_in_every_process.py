"""A key that is revoked or over, and a person who left a team, open nothing a second later, in whichever process."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import two_teams
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server

PREDICT, READ = f"/api/v1/{ENDPOINT}/predict", f"/api/v1/endpoints/{ENDPOINT}"
LIMIT_S = 1.0
Ways = list[Callable[[], int]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, prepared_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    """An ASGI and a WSGI server on one database, both of which have answered."""
    folder = tmp_path_factory.mktemp("pair") / "home"
    if request.param == "sqlite":
        home = prepared_home.copy(folder)
    else:
        postgres = request.getfixturevalue("postgres")
        postgres.psql("CREATE DATABASE ends")
        home = prepared_home.moved(folder, postgres.get_uri("ends"))
    with ExitStack() as stack:
        both = Server("asgi", home, {}), Server("wsgi", home, {})
        for one in both:
            stack.callback(one.stop)
            one.start()
        assert [one.predict(PERSON).status_code for one in both] == [200] * 2
        yield both


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Clients that are closed in the end."""
    with ExitStack() as stack:
        yield stack


def made(server: Server, name: str, **values: Any) -> dict[str, Any]:
    with server.client("admin") as client:
        reply = client.post("/api/v1/keys", json={"name": name, "scopes": ["predict", "read"], **values})
        assert reply.status_code == 201, reply.text
        key: dict[str, Any] = reply.json()
        return key


def told(server: Server, key: dict[str, Any], field: str) -> datetime:
    """The time in that field of the key."""
    with server.client("admin") as client:
        text = client.get(f"/api/v1/keys/{key['id']}").json()[field]
    return datetime.fromisoformat(text)


def ways(pair: tuple[Server, Server], key: dict[str, Any], opened: ExitStack) -> Ways:
    """What asks for a prediction, and what asks the control plane, with `key`, in each process."""
    headers = {"X-Api-Key": key["key"]}
    clients = [opened.enter_context(httpx.Client(base_url=one.url, headers=headers, timeout=60)) for one in pair]
    asked = (("POST", PREDICT), ("GET", READ))
    return [functools.partial(status_of, client, *one) for client in clients for one in asked]


def status_of(client: httpx.Client, method: str, path: str) -> int:
    return client.request(method, path, json=PERSON if method == "POST" else None).status_code


def all_open(doors: Ways) -> bool:
    return [door() for door in doors] == [200] * len(doors)


def until_all_are_shut(doors: Ways, shut: tuple[int, ...] = (401,)) -> float:
    """When every one of `doors` has refused, in seconds since 1970; none opens again."""
    until = time.time() + 60
    while any(door() not in shut for door in doors):
        assert time.time() < until, "never refused"
        time.sleep(0.01)
    found = time.time()
    assert {door() for door in doors for _ in range(5)} <= set(shut)
    return found


def wait_until_open(doors: Ways) -> None:
    until = time.time() + LIMIT_S + 1
    while not all_open(doors):
        assert time.time() < until, "the new key is not known everywhere"
        time.sleep(0.01)


def test_a_revoked_key_is_refused_by_both_within_a_second(pair: tuple[Server, Server], opened: ExitStack) -> None:
    for turn, server in enumerate(pair):
        key = made(server, f"revoked-{turn}")
        doors = ways(pair, key, opened)
        wait_until_open(doors)
        with server.client("admin") as client:
            since = time.time()
            assert client.post(f"/api/v1/keys/{key['id']}/revoke").status_code == 200
        assert until_all_are_shut(doors) - since <= LIMIT_S


def test_a_key_revoked_by_command_is_refused_by_both_within_a_second(
    pair: tuple[Server, Server], opened: ExitStack
) -> None:
    key = made(pair[0], "revoked-by-command")
    doors = ways(pair, key, opened)
    wait_until_open(doors)
    with ThreadPoolExecutor() as pool:
        command = pool.submit(pair[0].home.manage, "keys", "revoke", key["name"])
        shut_at = until_all_are_shut(doors)
        command.result()
    assert 0 <= shut_at - told(pair[1], key, "revoked_at").timestamp() <= LIMIT_S


def test_a_key_is_good_until_it_is_over_and_then_in_neither(pair: tuple[Server, Server], opened: ExitStack) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=3)
    doors = ways(pair, made(pair[0], "short", expires_at=expires_at.isoformat()), opened)
    wait_until_open(doors)
    while all_open(doors):
        pass
    assert time.time() >= expires_at.timestamp()
    assert 0 <= until_all_are_shut(doors) - expires_at.timestamp() <= LIMIT_S


def test_whoever_left_a_team_is_shown_nothing_by_either(pair: tuple[Server, Server], opened: ExitStack) -> None:
    name, home = "mia", pair[0].home
    home.python(
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User\n"
        f"User.objects.create_user({name!r}, password={two_teams.PASSWORD!r})"
    )
    admin = opened.enter_context(pair[0].client("admin"))
    assert admin.put(f"/api/v1/teams/default/members/{name}", json={"role": "operator"}).status_code == 201
    people = [two_teams.of_person(one, name).client for one in pair]
    for client in people:
        opened.callback(client.close)
    doors: Ways = [functools.partial(status_of, client, "GET", READ) for client in people]
    assert all_open(doors)
    since = time.time()
    assert admin.delete(f"/api/v1/teams/default/members/{name}").status_code == 204
    assert until_all_are_shut(doors, (403, 404)) - since <= LIMIT_S
