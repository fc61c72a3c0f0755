"""`GET batches/{id}/errors`: every rejected row with its line, field and reason, in order, as far as the job is."""

from __future__ import annotations

import csv
import io
from typing import Any

import placed
import pytest
import sent
from servers import BY_WSGI, Server

pytestmark = BY_WSGI

FIRST = [[1, 3, "age", "expected a number, got 'x'"], [4, 6, "", "it has 3 cells"], [9, 11, "age", "é"]]
LATER = [[20, 22, "=cmd|' /C calc'!A0", "+1+1"], [21, 23, "-5", '"quoted", and\nbroken']]


@pytest.fixture(scope="module")
def job(door: Server) -> int:
    """One of which the first and the third chunk have rejected rows, and the fourth is not done yet."""
    return placed.place(
        door.home,
        state="running",
        started_s=5,
        rows_total=40,
        rows_done=30,
        rows_rejected=5,
        chunks=[FIRST, [], LATER, None],
    )


def _get(server: Server, job: int, **params: Any) -> Any:
    with server.client("read") as client:
        return client.get(f"{sent.BATCHES}/{job}/errors", params=params)


def _as_dicts(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(("row", "line", "field", "reason"), row, strict=True)) for row in rows]


def test_they_are_told_while_the_job_runs(door: Server, job: int) -> None:
    reply = _get(door, job)
    assert reply.json() == _as_dicts(FIRST + LATER)
    assert "Link" not in reply.headers


def test_pages_follow_each_other_by_row(door: Server, job: int) -> None:
    found, reply = [], _get(door, job, limit=2)
    while True:
        assert len(reply.json()) <= 2
        found += reply.json()
        if "next" not in reply.links:
            break
        with door.client("read") as client:
            reply = client.get(reply.links["next"]["url"])
    assert found == _as_dicts(FIRST + LATER)
    assert _get(door, job, after=9).json() == _as_dicts(LATER)
    assert _get(door, job, after=21).json() == []


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "-1"}, {"after": "x"}])
def test_a_page_that_there_is_not_is_refused(door: Server, job: int, params: dict[str, Any]) -> None:
    reply = _get(door, job, **params)
    assert (reply.status_code, reply.json()["error"]["details"][0]["field"]) == (422, next(iter(params)))


def test_as_csv_they_are_all_there_and_none_is_a_formula(door: Server, job: int) -> None:
    for reply in (_get(door, job, format="csv"), _accepting(door, job, "text/csv")):
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert reply.headers["Content-Disposition"] == f'attachment; filename="batch-{job}-errors.csv"'
        header, *lines = csv.reader(io.StringIO(reply.text, newline=""))
        assert header == ["row", "line", "field", "reason"]
        expected = [[str(cell) for cell in row] for row in FIRST + LATER]
        expected[3][2:] = ["'=cmd|' /C calc'!A0", "'+1+1"]
        assert lines == expected


def _accepting(server: Server, job: int, kind: str) -> Any:
    with server.client("read") as client:
        return client.get(f"{sent.BATCHES}/{job}/errors", headers={"Accept": kind})


def test_what_is_refused_is_json_whatever_was_asked_for(door: Server, job: int) -> None:
    for reply in (_get(door, 999_999, format="csv"), _accepting(door, 999_999, "text/html")):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    unknown = _get(door, job, format="xlsx")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "invalid_input")
    assert "'format': expected one of csv, json" in unknown.json()["error"]["message"]
    assert _get(door, job, format="csv", limit=1).json()["error"]["code"] == "unknown_parameter"
    with door.client("read") as client:
        address = f"{sent.BATCHES}/{job}/errors?format=csv"
        assert client.options(address).json()["parses"]
        assert client.put(address).json()["error"]["code"] == "method_not_allowed"
    removed = placed.place(door.home, state="cancelled", is_removed=True, chunks=[FIRST])
    for kind in ("json", "csv"):
        reply = _get(door, removed, format=kind)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
        assert "removed" in reply.json()["error"]["message"]


def test_where_none_is_rejected_there_is_none(door: Server) -> None:
    job = placed.place(door.home, state="queued")
    assert _get(door, job).json() == []
    assert _get(door, job, format="csv").text == "row,line,field,reason\n"


def test_many_are_sent_whole(door: Server) -> None:
    many = [[row, row + 2, "age", "expected a number, got 'x'"] for row in range(20_000)]
    job = placed.place(door.home, state="succeeded", chunk_rows=20_000, chunks=[many], rows_rejected=20_000)
    assert _get(door, job, format="csv").text.count("\n") == 20_001
    assert [one["row"] for one in _get(door, job, limit=1_000, after=17_999).json()] == list(range(18_000, 19_000))
