"""API keys: only hashes are stored, scopes are checked on every route, and the command keeps its word."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import pytest
from homes import ENDPOINT, SCOPES, Home
from operations import OPERATIONS
from people import PERSON
from servers import Server

ID = "00000000-0000-7000-8000-000000000000"
# What an address names, of which little is there.
NAMES = {
    **dict.fromkeys(("alias", "tag", "team", "username"), "*"),
    **dict.fromkeys(("algorithm", "step", "key", "abtest", "batch", "feedback_file", "receiver"), 999),
    **dict.fromkeys(("alertrule", "alert"), 999),
    "endpoint": ENDPOINT,
    **dict.fromkeys(("request", "delivery"), ID),
}
# Route, method and the one scope it needs; `admin` opens all.
ROUTES = [
    ("GET", "/api/v1", "read"),
    ("GET", "/api/schema", "read"),
    ("GET", "/metrics", "read"),
    *((one.method, one.address(NAMES), one.scope) for one in OPERATIONS),
]
ANONYMOUS = {"/healthz", "/readyz", "/login"}


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES, ids=str)
def test_only_the_scope_that_is_named_opens_the_route(door: Server, method: str, path: str, needed: str) -> None:
    def status(scope: str | None) -> int:
        with door.client(scope) as client:
            # A body that no route accepts: whoever gets past the door is told so, and nothing changes.
            content = None if method == "GET" else '{"unknown": 1}'
            return client.request(method, path, content=content).status_code

    assert status(None) == 401
    for scope in SCOPES:
        opened = status(scope) not in (401, 403)
        assert opened == (scope in (needed, "admin")), scope


def test_the_list_of_routes_is_complete(door: Server) -> None:
    with door.client("read") as client:
        document = client.get("/api/schema").json()
    known = {
        (method, re.sub(r"\{[^}]*\}", "*", path)) for path, methods in document["paths"].items() for method in methods
    }
    listed = set()
    for method, path, _ in ROUTES:
        pattern = re.sub(r"/999(?=/|$)", "/*", path.replace(ENDPOINT, "*").replace(ID, "*"))
        listed.add((method.lower(), pattern))
    open_to_all = {(method, path) for method, path in known if path in ANONYMOUS}
    assert known - open_to_all == listed - {("get", "/api/v1"), ("get", "/api/schema")}


def test_both_headers_are_understood(door: Server) -> None:
    key = door.home.keys["predict"]
    for headers in ({"X-Api-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"}):
        with door.client(None) as client:
            reply = client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON, headers=headers)
            assert reply.status_code == 200


def test_no_secret_is_stored_or_logged(door: Server) -> None:
    door.predict(PERSON)
    secrets = [key.encode() for key in door.home.keys.values()]
    with closing(sqlite3.connect(door.home.folder / "db.sqlite3")) as database:
        dump = "\n".join(database.iterdump()).encode()
    for secret in secrets:
        assert secret not in dump
        assert secret not in door.log.encode()


def test_the_command_creates_lists_and_revokes(home: Home) -> None:
    shown = home.manage("keys", "create", "mine", "--scope", "predict", "--scope", "read").stdout
    assert re.search(r"^API key: mlp_[\w-]{43}$", shown, re.M)
    listed = {key["name"]: key for key in json.loads(home.manage("keys", "list", "--json").stdout)}
    assert listed["mine"]["scopes"] == ["predict", "read"]
    assert "key" not in listed["mine"]
    assert listed["mine"]["revoked_at"] is None
    home.manage("keys", "revoke", "mine")
    assert "revoked" in home.manage("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "admin-key", "--scope", "read"), "already"),
        (("create", "x", "--scope", "everything"), "predict, feedback, read, manage, admin"),
        (("create", "x"), "predict, feedback, read, manage, admin"),
        (("create", "", "--scope", "read"), "printable"),
        (("revoke", "nobody"), "no API key named"),
    ],
)
def test_what_cannot_be_done_is_said_and_exits_with_1(home: Home, arguments: tuple[str, ...], told: str) -> None:
    done = home.manage("keys", *arguments, check=False)
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
