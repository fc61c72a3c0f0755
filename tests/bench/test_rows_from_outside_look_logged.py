"""The rows that the benchmark puts into a home's log satisfy its tables, and the product lists them as its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from uuid import UUID

from homes import Home
from people import PERSON
from servers import Server

from benchmarks.data_plane import filling

COUNT = 1_000


def test_they_are_listed_after_what_was_logged(home: Home, start: Callable[..., Server]) -> None:
    server = start("asgi")
    replies = [server.predict({**PERSON, "age": age}).json() for age in (20, 40, 60)]
    server.stop()
    said: list[str] = []
    filling.fill(home.folder / "db.sqlite3", COUNT, said.append)
    assert said[0].startswith("1,000 rows")

    server = start("asgi")
    with server.client("read") as client:
        page = client.get("/api/v1/mlrequests?limit=1000").json()
    assert len(page) == COUNT
    ids = [UUID(row["id"]) for row in page]
    assert all(one.version == 7 for one in ids)
    assert ids == sorted(set(ids), reverse=True)
    labels = {reply["label"] for reply in replies}
    for row in page[10:20]:
        assert row["full_response"]["request_id"] == row["id"]
        assert row["full_response"]["label"] in labels
    assert server.predict(PERSON).status_code == 200
    assert home_rows(home) == COUNT + 4


def home_rows(home: Home) -> int:
    with sqlite3.connect(home.folder / "db.sqlite3") as connection:
        batches = connection.execute("SELECT id, rows FROM predictions_journalbatch").fetchall()
        rows = connection.execute("SELECT batch_id, count(*) FROM endpoints_mlrequest GROUP BY batch_id").fetchall()
    known = dict(batches)
    # Only the last batch from outside may be smaller than it says.
    assert sum(known[batch] != count for batch, count in rows) <= 1, json.dumps([batches[-3:], rows[-3:]])
    return sum(count for _, count in rows)
