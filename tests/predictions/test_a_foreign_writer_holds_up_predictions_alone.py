"""While another process holds SQLite's write lock predictions wait for it, and whatever writes nothing does not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest
from homes import Home
from people import PERSON
from servers import Server

ROUNDS = 20


@pytest.mark.parametrize("door_kind", ["asgi", "wsgi"])
def test_health_is_told_and_the_prediction_made_once_the_lock_is_free(
    home: Home, start: Callable[..., Server], door_kind: str
) -> None:
    server = start(door_kind)
    # Its commits are quick by now.
    for _ in range(ROUNDS):
        assert server.predict(PERSON).status_code == 200
    replies: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: replies.append(server.predict(PERSON)))
    with closing(sqlite3.connect(home.folder / "db.sqlite3", isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        waiting.start()
        for _ in range(ROUNDS):
            assert httpx.get(f"{server.url}/healthz", timeout=2).status_code == 200
        assert not replies
        foreign.execute("ROLLBACK")
    waiting.join(30)
    assert [reply.status_code for reply in replies] == [200]
    # Nothing of what was tried in between is left: every prediction is there once.
    with closing(sqlite3.connect(home.folder / "db.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM endpoints_mlrequest").fetchone() == (ROUNDS + 1,)


@pytest.mark.parametrize("door_kind", ["asgi", "wsgi"])
def test_nobody_waits_for_it_much_longer_than_the_deadline(
    home: Home, start: Callable[..., Server], door_kind: str
) -> None:
    server = start(door_kind, ML_PIPELINE_DEADLINE_MS="100")
    known = server.predict(PERSON).json()["request_id"]
    with closing(sqlite3.connect(home.folder / "db.sqlite3", isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        refused = server.predict(PERSON)
        with server.client("feedback") as client:
            untold = client.put(f"/api/v1/mlrequests/{known}", json={"feedback": ">50K"})
        # SQLite itself would have been waited for longer than both together.
        foreign.execute("ROLLBACK")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_unavailable")
    assert "Retry-After" in refused.headers
    assert untold.status_code == 503
