"""`POST /api/v1/batches` makes a job of the algorithm that predictions would reach, and of what the file is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sent
from homes import ENDPOINT
from servers import Server


def test_a_job_says_what_it_was_asked_with(door: Server) -> None:
    reply = sent.post(door, sent.people(), probabilities="true", log_requests="false")
    assert reply.status_code == 202, reply.text
    job = reply.json()
    with door.client("read") as client:
        algorithm = client.get("/api/v1/mlalgorithms", params={"name": "random_forest"}).json()[0]
        assert client.get(f"{sent.BATCHES}/{job['id']}").json() == job
        assert "the id 999999" in client.get(f"{sent.BATCHES}/999999").json()["error"]["message"]
        assert client.get(reply.headers["Location"]).json() == job
        assert client.get(job["links"]["self"]).json() == job
        assert client.get(job["links"]["result"]).status_code == 409
    assert (job["state"], job["endpoint"], job["algorithm"], job["version"]) == (
        *("queued", ENDPOINT, "random_forest", "0.0.1"),
    )
    assert job["parent_mlalgorithm"] == algorithm["id"]
    assert (job["file_name"], job["input_bytes"]) == ("people.csv", len(sent.people()))
    assert (job["input_format"], job["output_format"], job["encoding"]) == ("csv", "csv", "")
    assert (job["probabilities"], job["log_requests"], job["created_by"]) == (True, False, "key:predict-key")
    unknown = ("rows_total", "rows_per_s", "remaining_s", "started_at", "ended_at", "result_bytes", "removed_at")
    assert [job[name] for name in unknown] == [None] * len(unknown)
    assert (job["rows_done"], job["rows_rejected"], job["error"]) == (0, 0, "")


def test_the_bytes_that_came_are_those_that_are_stored(door: Server) -> None:
    before = set((door.home.folder / "batches").rglob("input"))
    assert sent.post(door, sent.people(500)).status_code == 202
    made = set((door.home.folder / "batches").rglob("input")) - before
    assert [one.read_bytes() for one in made] == [sent.people(500)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(sent.people(), "csv"), (sent.packed(), "csv"), (sent.parquet(), "parquet")],
    ids=["csv", "gzip", "parquet"],
)
def test_a_file_is_what_its_content_says(door: Server, content: bytes, kind: str) -> None:
    job = sent.post(door, content, "whatever").json()
    assert (job["input_format"], job["output_format"]) == (kind, kind)
    other = "csv" if kind == "parquet" else "parquet"
    job = sent.post(door, content, output=other).json()
    assert (job["input_format"], job["output_format"], job["log_requests"]) == (kind, other, True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_an_encoding_may_be_declared(door: Server, encoding: str) -> None:
    reply = sent.post(door, sent.people().decode().encode(encoding), encoding=encoding)
    assert (reply.status_code, reply.json()["encoding"]) == (202, encoding)


@pytest.mark.parametrize("charset", ["idna", "hex", "utf-16", "nonsense"])
def test_a_form_is_in_utf_8_whatever_it_declares(door: Server, charset: str) -> None:
    with door.client("predict") as client:
        form = {"files": {"file": ("people.csv", sent.people())}, "data": {"endpoint": ENDPOINT}}
        request = client.build_request("POST", sent.BATCHES, **form)
        request.headers["Content-Type"] += f"; charset={charset}"
        assert client.send(request).status_code == 202


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_columns_come_in_any_order_and_with_others(door: Server, delimiter: str) -> None:
    names = ["note", *reversed(sent.COLUMNS), "more"]
    content = f"\ufeff{delimiter.join(names)}\r\n".encode()
    assert sent.post(door, content).status_code == 202


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"algorithm": "extra_trees"}, "extra_trees"),
        ({"status": "staging"}, "decision_tree"),
        ({"version": "0.0.1"}, "random_forest"),
        ({"algorithm": "decision_tree", "version": "0.0.1", "status": "staging"}, "decision_tree"),
    ],
)
def test_an_algorithm_is_selected_as_by_a_prediction(door: Server, form: dict[str, str], name: str) -> None:
    assert sent.post(door, sent.people(), **form).json()["algorithm"] == name


@pytest.mark.parametrize(
    "form",
    [
        {"status": "archived"},
        {"version": "9"},
        {"algorithm": "nobody"},
        {"algorithm": "extra_trees", "status": "staging"},
    ],
)
def test_where_none_fits_the_sentence_is_that_of_a_prediction(door: Server, form: dict[str, str]) -> None:
    before = sent.traces(door)
    told, predicted = sent.post(door, sent.people(), **form), door.predict({}, **form)
    assert (told.status_code, told.json()) == (predicted.status_code, predicted.json())
    assert told.status_code == 404
    assert sent.traces(door) == before


def test_in_a_running_test_the_champion_scores(start: Callable[..., Server]) -> None:
    server = start("asgi")
    with server.client("read") as client:
        ids = {one["name"]: one["id"] for one in client.get("/api/v1/mlalgorithms").json()}
    body = {"title": "trees", "arms": [{"parent_mlalgorithm": ids[one]} for one in ("random_forest", "extra_trees")]}
    with server.client("manage") as client:
        assert client.post("/api/v1/abtests", json=body, params={"wait": "20"}).status_code == 201
    assert sent.post(server, sent.people()).json()["algorithm"] == "random_forest"
    assert sent.post(server, sent.people(), status="production").json()["algorithm"] == "random_forest"
    assert sent.post(server, sent.people(), algorithm="extra_trees").json()["algorithm"] == "extra_trees"
    several = sent.post(server, sent.people(), status="ab_testing")
    assert (several.status_code, several.json()["error"]["code"]) == (409, "ambiguous")
    assert len(several.json()["error"]["details"]) == 2


def test_whoever_chooses_what_there_is_not_is_told_what_there_is(door: Server) -> None:
    for field, expected in {"output": "one of csv, parquet", "status": "one of testing, staging,"}.items():
        reply = sent.post(door, sent.people(), **{field: "xlsx"})
        assert reply.status_code == 422
        assert reply.json()["error"]["message"].startswith(f"field '{field}': expected {expected}")


@pytest.mark.parametrize("endpoint", ["nothing", "BAD NAME", "income_classifier/x"])
def test_an_endpoint_that_is_not_there_is_not_found(door: Server, endpoint: str) -> None:
    reply = sent.post(door, sent.people(), endpoint=endpoint)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("scope", ["read", "feedback", "manage"])
def test_a_key_that_may_not_predict_asks_for_none(door: Server, scope: str) -> None:
    assert sent.post(door, sent.people(), scope=scope).status_code == 403


def test_whoever_waits_in_vain_is_told_how_far_it_is(door: Server) -> None:
    reply = sent.post(door, sent.people(), wait="0.3")
    assert (reply.status_code, reply.json()["state"]) == (202, "queued")
    refused = sent.post(door, sent.people(), wait="61")
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "wait")


def test_jobs_are_listed_newest_first_and_by_what_they_are(door: Server) -> None:
    made = [sent.post(door, sent.people(), algorithm=name).json()["id"] for name in ("extra_trees", "decision_tree")]
    with door.client("read") as client:
        algorithm = client.get("/api/v1/mlalgorithms", params={"name": "extra_trees"}).json()[0]["id"]
        page = client.get(sent.BATCHES, params={"limit": 1})
        assert [one["id"] for one in page.json()] == [made[1]]
        assert [one["id"] for one in client.get(page.links["next"]["url"]).json()] == [made[0]]
        of_one = client.get(sent.BATCHES, params={"parent_mlalgorithm": algorithm, "state": "queued"}).json()
        assert of_one[0]["id"] == made[0]
        assert {one["algorithm"] for one in of_one} == {"extra_trees"}
        assert client.get(sent.BATCHES, params={"state": "failed"}).json() == []
        assert client.get(sent.BATCHES, params={"endpoint": "nothing"}).json() == []
        assert client.get(sent.BATCHES, params={"file_name": "x"}).status_code == 400
        assert client.get(sent.BATCHES, params={"state": "nothing"}).status_code == 422


def test_a_job_is_cancelled_once(door: Server) -> None:
    job = sent.post(door, sent.people()).json()["id"]
    with door.client("predict") as client:
        first = client.post(f"{sent.BATCHES}/{job}/cancel")
        assert (first.status_code, first.json()["state"]) == (200, "cancelled")
        assert client.post(f"{sent.BATCHES}/{job}/cancel").json()["ended_at"] == first.json()["ended_at"]
        assert client.post(f"{sent.BATCHES}/999999/cancel").status_code == 404
    with door.client("read") as client:
        assert client.post(f"{sent.BATCHES}/{job}/cancel").status_code == 403
        assert "cancelled" in client.get(f"{sent.BATCHES}/{job}/result").json()["error"]["message"]
