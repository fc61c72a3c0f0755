"""Feedback files over HTTP: sent, followed to their end, refused at once where the first line shows what they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import ENDPOINT
from people import PERSON
from servers import BY_ASGI, Server, worker

pytestmark = BY_ASGI

FILES = "/api/v1/batches/feedback"


@pytest.fixture(scope="module")
def door(door: Server) -> Iterator[Server]:
    """The door, with a worker."""
    with worker(door.home):
        yield door


def send(door: Server, content: bytes, **form: str) -> httpx.Response:
    with door.client("feedback") as client:
        return client.post(FILES, files={"file": ("labels.csv", content)}, data={"endpoint": ENDPOINT, **form})


def stored(door: Server) -> list[Path]:
    return [path for path in (door.home.folder / "batches").rglob("*") if path.is_file()]


def at_its_end(door: Server, reply: httpx.Response) -> dict[str, Any]:
    until = time.monotonic() + 60
    with door.client("read") as client:
        while time.monotonic() < until:
            record: dict[str, Any] = client.get(reply.headers["Location"]).json()
            if record["ended_at"] is not None:
                return record
            time.sleep(0.05)
    raise AssertionError(record)


def test_what_it_says_is_the_feedback_of_its_requests(door: Server) -> None:
    ids = [door.predict(PERSON).json()["request_id"] for _ in range(3)]
    content = f"request_id,feedback\n{ids[0]},>50K\n{ids[1]},<=50K\n{ids[2]},rich\n"
    reply = send(door, content.encode())
    assert reply.status_code == 202, reply.text
    assert (reply.json()["file_name"], reply.json()["endpoint"]) == ("labels.csv", ENDPOINT)
    record = at_its_end(door, reply)
    assert [record[name] for name in ("state", "lines", "accepted", "unchanged", "unknown", "invalid")] == [
        "succeeded",
        3,
        2,
        0,
        0,
        1,
    ]
    assert record["problems"] == [{"line": 4, "request_id": ids[2], "reason": "expected one of <=50K, >50K"}]
    with door.client("read") as client:
        told = [client.get(f"/api/v1/mlrequests/{one}").json()["feedback"] for one in ids]
        assert record in client.get(FILES, params={"endpoint": ENDPOINT, "state": "succeeded"}).json()
    assert told == [">50K", "<=50K", None]
    assert stored(door) == []
    with door.client("feedback") as client:
        assert client.post(f"{FILES}/{record['id']}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("content", "form", "status"),
    [
        (b"", {}, 422),
        (b"request_id,label\n", {}, 400),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, 400),
        (b"PAR1\0\0", {}, 400),
        (b"request_id,feedback\n", {"encoding": "ebcdic"}, 422),
        (b"request_id,feedback\n", {"endpoint": "nothing_like_it"}, 404),
        (b"request_id,feedback\n", {"algorithm": "random_forest"}, 422),
    ],
)
def test_what_is_none_is_refused_and_leaves_nothing(
    door: Server, content: bytes, form: dict[str, str], status: int
) -> None:
    with door.client("read") as client:
        before = client.get(FILES).json()
        reply = send(door, content, **form)
        assert reply.status_code == status, reply.text
        assert reply.json()["error"]["message"]
        assert client.get(FILES).json() == before
    assert stored(door) == []
