"""Whatever keys and passwords come in, wherever they are put, neither log nor database has one of them in clear."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing

import httpx
import pytest
import sessions
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server

WRONG = "wrong-horse-battery-staple"


@pytest.fixture(scope="module")
def keys(module_home: Home) -> list[str]:
    """Every key there is, and some that are none."""
    sessions.make_superuser(module_home)
    return [*module_home.keys.values(), f"mlp_{secrets.token_urlsafe(32)}", f"mlp_{secrets.token_urlsafe(32)}"]


def _present(client: httpx.Client, key: str) -> None:
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Bearer {key} {key}"},
        {"Authorization": f"Token {key}"},
        {"Authorization": key},
        {"X-Api-Key": key},
        {"X-Api-Key": f"{key},{key}"},
        {"X-Unit": "7", "Referer": f"http://x/?key={key}", "User-Agent": key},
        {"Host": f"{key}.example"},
        {"Host": f"_{key}_"},
        {"Cookie": f"sessionid={key}; csrftoken={key}"},
    ):
        client.get("/api/v1/endpoints", headers=headers)
        client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON, headers=headers)
        client.post("/admin/login/", headers=headers, data={"username": key, "password": key})
    for method in ("GET", "POST", "PUT"):
        client.request(method, f"/api/v1/endpoints?key={key}")
        client.request(method, f"/api/v1/{key}/predict?api_key={key}", json={"key": key})
        client.request(method, f"/{key}/{key}")
        client.request(method, f"/api/v1/mlrequests/feedback?{key}", json=[{"request_id": key, "feedback": key}])


def test_nothing_that_was_presented_is_there(door: Server, keys: list[str]) -> None:
    with door.client("admin") as client:
        for key in keys:
            _present(client, key)
            client.post("/api/v1/endpoints", json={"name": key, "key": key})
    with sessions.logged_in(door, WRONG) as nobody, sessions.logged_in(door) as ada:
        assert nobody.get("/api/v1/endpoints").status_code == 401
        assert ada.get("/api/v1/endpoints").status_code == 200
        ada.post("/login", data={"username": sessions.NAME, "password": sessions.PASSWORD})
    secret_key = (door.home.folder / "secret_key").read_text().strip()
    told = [*keys, sessions.PASSWORD, WRONG, secret_key]
    with closing(sqlite3.connect(door.home.folder / "db.sqlite3")) as database:
        dump = "\n".join(database.iterdump())
    assert door.lines
    assert [one for one in told if one in dump] == []
    assert [one for one in told if one in door.log] == []
    files = [path for path in door.home.folder.glob("db.sqlite3*") if path.is_file()]
    assert [one for one in told for path in files if one.encode() in path.read_bytes()] == []
