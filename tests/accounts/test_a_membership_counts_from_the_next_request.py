"""What a person may do follows his memberships from his next request on, in the session that he has."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import sessions
from homes import ENDPOINT, Home
from servers import Server

NAME = "mia"
MEMBER = f"/api/v1/teams/default/members/{NAME}"
MINE = f"/api/v1/endpoints/{ENDPOINT}"


def set_person(home: Home, *, active: bool) -> None:
    """There is a person NAME, who is active or not."""
    home.python(
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User\n"
        f"one = User.objects.filter(username={NAME!r}).first()\n"
        f"one = one or User.objects.create_user({NAME!r}, password={sessions.PASSWORD!r})\n"
        f"one.is_active = {active}\n"
        "one.save()"
    )


@pytest.fixture
def admin(door: Server) -> Iterator[httpx.Client]:
    with door.client("admin") as client:
        yield client


@pytest.fixture
def person(door: Server, admin: httpx.Client) -> Iterator[httpx.Client]:
    """Logged in, and in no team."""
    set_person(door.home, active=True)
    admin.delete(MEMBER)
    with door.client(None) as client:
        reply = client.post("/login", data={"username": NAME, "password": sessions.PASSWORD, **sessions.token(client)})
        assert reply.status_code == 302, reply.text
        client.headers.update({"Referer": door.url, "X-CSRFToken": client.cookies["csrftoken"]})
        yield client


def put(admin: httpx.Client, role: str) -> None:
    assert admin.put(MEMBER, json={"role": role}).is_success


def test_in_no_team_nothing_is_there(person: httpx.Client) -> None:
    for address in ("/api/v1/endpoints", "/api/v1/mlrequests", "/api/v1/teams", "/api/v1/keys", MINE):
        reply = person.get(address)
        assert reply.status_code in (403, 404), reply.text
        assert ENDPOINT not in reply.json()["error"]["message"]


def test_put_changed_and_removed_count_at_once(admin: httpx.Client, person: httpx.Client) -> None:
    put(admin, "viewer")
    assert person.get(MINE).status_code == 200
    assert person.patch(MINE, json={"owner": "mia"}).status_code == 403
    put(admin, "operator")
    assert person.patch(MINE, json={"owner": "mia"}).status_code == 200
    assert person.get(MEMBER).status_code == 403
    put(admin, "administrator")
    assert person.get(MEMBER).json()["role"] == "administrator"
    put(admin, "viewer")
    assert person.patch(MINE, json={"owner": "nobody"}).status_code == 403
    assert admin.delete(MEMBER).status_code == 204
    assert person.get(MINE).status_code in (403, 404)


def test_whoever_is_deactivated_is_nobody(door: Server, admin: httpx.Client, person: httpx.Client) -> None:
    put(admin, "administrator")
    assert person.get(MINE).status_code == 200
    set_person(door.home, active=False)
    assert person.get(MINE).status_code == 401
