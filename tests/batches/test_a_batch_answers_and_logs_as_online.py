"""A batch job answers each row as a prediction over HTTP does, and logs it the same way, on each database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batched import Batches, write_people
from homes import ENDPOINT, Home
from people import as_rows
from servers import Server

ROWS = 1_000
# What is another request's, and how long it took.
OF_THE_REQUEST = ("id", "latency_us", "batch", "created_at")


def of_online(server: Server, frame: pd.DataFrame) -> list[dict[str, Any]]:
    with server.client("predict") as client:
        reply = client.post(f"/api/v1/{ENDPOINT}/predict", json=as_rows(frame))
    assert reply.status_code == 200
    return list(reply.json())


def logged(server: Server, **filters: Any) -> list[dict[str, Any]]:
    with server.client("read") as client:
        reply = client.get("/api/v1/mlrequests", params={"limit": ROWS, **filters})
    assert reply.status_code == 200
    assert "Link" not in reply.headers
    # Oldest first; the rows of one request to the server were logged in its order.
    return sorted(reply.json(), key=lambda row: row["id"])


def said(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in row.items() if name not in OF_THE_REQUEST}
    return {**told, "full_response": {**told["full_response"], "request_id": None}}


def test_answers_and_log_are_those_of_online(each_home: Home, start: Callable[..., Server], tmp_path: Path) -> None:
    batches = Batches(each_home)
    frame = write_people(tmp_path / "people.csv", ROWS)
    server = start(at=each_home)
    replies = of_online(server, frame)
    assert logged(server, batch=1) == []
    pk = batches.create(tmp_path / "people.csv")
    with batches.worker():
        job = batches.wait(pk)
    assert (job.rows_total, job.rows_done, job.rows_rejected, job.rejected) == (ROWS, ROWS, 0, [])
    assert "result" in job.files
    result = pd.read_csv(batches.result(pk))
    assert list(result.columns) == [*frame.columns, "label", "probability", "request_id"]
    pd.testing.assert_frame_equal(result[list(frame.columns)], frame, check_dtype=False)
    assert list(result["label"]) == [reply["label"] for reply in replies]
    assert list(result["probability"]) == pytest.approx([reply["probability"] for reply in replies], abs=1e-5)

    by_batch = logged(server, batch=pk)
    assert [row["id"] for row in by_batch] == list(result["request_id"])
    assert {row["batch"] for row in by_batch} == {pk}
    online = {row["id"]: row for row in logged(server, before=by_batch[0]["id"])}
    assert {row["batch"] for row in online.values()} == {None}
    told = [said(online[reply["request_id"]]) for reply in replies]
    for mine, theirs in zip(map(said, by_batch), told, strict=True):
        assert mine.pop("probability") == pytest.approx(theirs.pop("probability"), abs=1e-5)
        for one in (mine, theirs):
            one["full_response"].pop("probability")
        assert mine == theirs
    assert verified(each_home)["faults"] == 0
    each_home.python(
        "import django\ndjango.setup()\nfrom ml_pipeline.apps.endpoints.models import MLRequest\n"
        f"MLRequest.objects.filter(pk={by_batch[7]['id']!r}).update(response='another')"
    )
    found = verified(each_home)
    assert [(one["kind"], one["writer"]) for one in found["named"]] == [("edited", job.uid)]


def verified(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.manage("verify_log", "--json", check=False).stdout)
    return found
