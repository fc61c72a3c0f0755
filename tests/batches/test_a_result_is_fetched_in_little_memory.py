"""`GET batches/{id}/result` is the file, piece by piece; where there is none the sentence says why."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import placed
import pytest
import sent
from servers import Server, wait_until

MB = 1_000_000
# What a server may take more while it sends 200 MB.
MORE_MB = 30


def _resident_mb(server: Server) -> float:
    """Of the server and its children."""
    found, total = [server.pid], 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == server.pid:
                    found.append(int(process.name))
            except OSError:
                continue
    for pid in found:
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total / MB


@pytest.mark.parametrize(
    ("sent_as", "output", "name", "media_type"),
    [
        ("people.csv", "csv", 'attachment; filename="people-scored.csv"', "text/csv; charset=utf-8"),
        ("people.CSV.gz", "csv", 'attachment; filename="people-scored.csv"', "text/csv; charset=utf-8"),
        ("people.parquet", "parquet", 'attachment; filename="people-scored.parquet"', "application/vnd.apache.parquet"),
        ("people", "csv", 'attachment; filename="people-scored.csv"', "text/csv; charset=utf-8"),
        (".csv", "csv", 'attachment; filename=".csv-scored.csv"', "text/csv; charset=utf-8"),
        ('a"b;c\\d.csv', "csv", 'attachment; filename="a\\"b;c\\\\d-scored.csv"', "text/csv; charset=utf-8"),
        ("größe.csv", "csv", "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe-scored.csv", "text/csv; charset=utf-8"),
    ],
)
def test_a_result_has_a_name_a_type_and_a_length(
    door: Server, sent_as: str, output: str, name: str, media_type: str
) -> None:
    content = "age,label\n39,<=50K\n"
    job = placed.place(door.home, state="succeeded", result=content, file_name=sent_as, output_format=output)
    with door.client("read") as client:
        reply, head = (client.request(one, f"{sent.BATCHES}/{job}/result") for one in ("GET", "HEAD"))
    assert (reply.status_code, reply.text) == (200, content)
    assert (head.status_code, head.content) == (200, b"")
    for one in (reply, head):
        assert one.headers["Content-Disposition"] == name
        assert one.headers["Content-Type"] == media_type
        assert one.headers["Content-Length"] == str(len(content))
        assert one.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"state": "queued"}, 409, "has not begun"),
        ({"state": "running", "started_s": 1}, 409, "is not over yet"),
        ({"state": "failed", "error": "The quote in line 7 is never closed."}, 409, "line 7 is never closed"),
        ({"state": "cancelled", "is_removed": True}, 409, "was cancelled"),
        ({"state": "succeeded", "is_removed": True, "result": "x"}, 404, "removed"),
        ({"state": "succeeded"}, 404, "removed"),
    ],
)
def test_where_there_is_none_the_sentence_says_why(
    door: Server, given: dict[str, object], status: int, words: str
) -> None:
    job = placed.place(door.home, **given)
    with door.client("read") as client:
        for accept in ("application/json", "text/html", "text/csv"):
            reply = client.get(f"{sent.BATCHES}/{job}/result", headers={"Accept": accept})
            assert reply.status_code == status
            assert reply.json()["error"]["code"] == ("conflict" if status == 409 else "not_found")
            assert words in reply.json()["error"]["message"]


def test_progress_is_reckoned_from_what_is_done(door: Server) -> None:
    job = placed.place(door.home, state="running", started_s=100, rows_total=1_000, rows_done=250, rows_rejected=5)
    with door.client("read") as client:
        told = client.get(f"{sent.BATCHES}/{job}").json()
    assert (told["rows_total"], told["rows_done"], told["rows_rejected"]) == (1_000, 250, 5)
    # A test is not done in no time.
    assert 1.0 < told["rows_per_s"] <= 2.5
    assert told["remaining_s"] == pytest.approx(750 / told["rows_per_s"], rel=0.2)


def test_200_mb_are_sent_piece_by_piece(door: Server) -> None:
    job = placed.place(door.home, state="succeeded", result="x")
    folder = max((door.home.folder / "batches").iterdir(), key=lambda one: one.stat().st_mtime)
    piece, told = os.urandom(MB), hashlib.sha256()
    with (folder / "result").open("wb") as file:
        for _ in range(200):
            file.write(piece)
            told.update(piece)
    assert sent.is_well(door)
    before, most, got = _resident_mb(door), 0.0, hashlib.sha256()
    with door.client("read") as client, client.stream("GET", f"{sent.BATCHES}/{job}/result") as reply:
        assert reply.headers["Content-Length"] == str(200 * MB)
        for number, part in enumerate(reply.iter_bytes(MB)):
            got.update(part)
            if number % 20 == 0:
                most = max(most, _resident_mb(door))
    assert got.digest() == told.digest()
    print(f"{door.door}: {before:.0f} MB before, {most:.0f} MB at most")
    assert most - before < MORE_MB


def test_a_client_that_goes_away_leaves_nothing_open(door: Server) -> None:
    job = placed.place(door.home, state="succeeded", result="x" * 20 * MB)
    with door.client("read") as client, client.stream("GET", f"{sent.BATCHES}/{job}/result") as reply:
        next(reply.iter_bytes(1_000))

    def is_open() -> bool:
        links = [*Path("/proc").glob("[0-9]*/fd/*")]
        return any(_target(link).endswith("/result") and str(door.home.folder) in _target(link) for link in links)

    wait_until(lambda: not is_open())
    assert sent.is_well(door)
    assert "Traceback" not in door.log


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def test_what_is_fetched_holds_up_no_prediction(start: Callable[..., Server]) -> None:
    server = start("asgi")
    job = placed.place(server.home, state="succeeded", result="x" * 20 * MB)
    with server.client("read") as client, client.stream("GET", f"{sent.BATCHES}/{job}/result") as reply:
        parts = reply.iter_bytes(1_000)
        next(parts)
        # The client does not read on, and the server answers others.
        assert all(sent.is_well(server) for _ in range(10))
        assert sum(len(part) for part in parts) == 20 * MB - 1_000
