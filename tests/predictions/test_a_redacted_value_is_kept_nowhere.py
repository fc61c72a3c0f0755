"""Values of redacted fields are in no row and no log, however they came and whatever became of their request."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server
from strange_models import write_strange_bundle

# A number and a text that nothing else has. The text is in no category, so the income classifier refuses it.
AGE, SECRET = 86_753_091, "Jenny-of-the-redacted"
STRANGE, INCOME = "/api/v1/strange/predict?status=testing", f"/api/v1/{ENDPOINT}/predict"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, prepared_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """It serves an algorithm that fails when it is told to, and redacts what it is told."""
    folder = tmp_path_factory.mktemp("redacted")
    home = prepared_home.copy(folder / "home")
    bundle = write_strange_bundle(folder / "strange")
    home.manage("register", str(bundle), "--endpoint", "strange", "--version", "1")
    one = Server(request.param, home, {"ML_PIPELINE_DEADLINE_MS": "1000"}).start()
    with one.client("manage") as client:
        for endpoint, fields in (("strange", ["order"]), (ENDPOINT, ["age", "education", "occupation"])):
            body = {"settings": {"redact": fields}}
            assert client.patch(f"/api/v1/endpoints/{endpoint}?wait=10", json=body).status_code == 200
    yield one
    one.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client("predict") as one:
        yield one


def traces(server: Server) -> list[str]:
    """Where one of the values is: tables by name, files of the home, the log."""
    marks = (str(AGE), SECRET)
    with closing(sqlite3.connect(server.home.folder / "db.sqlite3", timeout=30)) as database:
        found = [line[:80] for line in database.iterdump() if any(mark in line for mark in marks)]
    files = [path for path in server.home.folder.rglob("*") if path.is_file()]
    held = [str(path) for path in files if any(mark.encode() in path.read_bytes() for mark in marks)]
    return [*found, *held]


def logged(server: Server, count: int, endpoint: str) -> list[dict[str, Any]]:
    with server.client("read") as client:
        found: list[dict[str, Any]] = client.get(
            "/api/v1/mlrequests", params={"limit": count, "endpoint": endpoint}
        ).json()
        return found


@pytest.mark.parametrize("way", ["alone", "in a list", "in a form", "spelt with escapes"])
def test_of_an_algorithm_that_raises_with_it_in_its_message(server: Server, client: httpx.Client, way: str) -> None:
    order = f"raise {SECRET}"
    match way:
        case "alone":
            reply = client.post(STRANGE, json={"order": order})
        case "in a list":
            reply = client.post(STRANGE, json=[{"order": "fine"}, {"order": order}, {"order": order}])
        case "in a form":
            reply = client.post(STRANGE, data={"order": order})
        case _:
            escaped = "".join(f"\\u{ord(one):04x}" for one in order)
            reply = client.post(STRANGE, content=f'{{"order": "{escaped}"}}'.encode())
    assert reply.status_code == 500
    assert SECRET not in reply.text
    rows = logged(server, 3 if way == "in a list" else 1, "strange")
    assert {(row["outcome"], json.dumps(row["input_data"])) for row in rows} == {
        ("internal", '{"order": "[redacted]"}')
    }
    assert traces(server) == []


def test_of_an_algorithm_that_takes_too_long(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    reply = client.post(STRANGE, json={"order": f"wait {tmp_path / SECRET}"})
    assert reply.status_code == 504
    [row] = logged(server, 1, "strange")
    assert (row["outcome"], row["input_data"]) == ("deadline_exceeded", {"order": "[redacted]"})
    assert traces(server) == []


def test_of_what_is_answered_from_json_and_from_a_form(server: Server, client: httpx.Client) -> None:
    row = {**PERSON, "age": AGE}
    for reply in (client.post(INCOME, json=row), client.post(INCOME, data=row), client.post(INCOME, json=[row, row])):
        assert reply.status_code == 200, reply.text
    for one in logged(server, 4, ENDPOINT):
        assert (one["outcome"], one["input_data"]["age"]) == ("ok", "[redacted]")
        assert one["input_data"]["sex"] == PERSON["sex"]
    assert traces(server) == []


def test_of_rows_that_are_refused(server: Server, client: httpx.Client) -> None:
    refused = [
        client.post(INCOME, json={**PERSON, "age": SECRET}),
        client.post(INCOME, json={**PERSON, "education": [SECRET], "age": AGE}),
        client.post(INCOME, json={**PERSON, "age": AGE, "no such field": 1}),
        client.post(INCOME, json=[{**PERSON, "age": AGE}, {**PERSON, "sex": 1}]),
        client.post(INCOME, data={**PERSON, "age": SECRET}),
        client.post(INCOME, data={**PERSON, "age": AGE, SECRET: "1"}),
        client.post(INCOME, content=f"age={AGE}&age={AGE}&education={SECRET}", headers=FORM),
        client.post(INCOME, content=f'{{"age": {AGE}, "age": 1}}'.encode()),
        client.post(INCOME, content=f'{{"age": {AGE}, "education": "{SECRET}"'.encode()),
        client.post(INCOME, content=f'{{"education": "{SECRET}\\ud800"}}'.encode()),
        client.post(INCOME, json={**PERSON, "age": AGE}, params={"unknown": SECRET}),
        client.post(INCOME, json={**PERSON, "age": AGE}, params={"version": SECRET}),
        client.post(INCOME, content=json.dumps({"age": AGE}), headers={"Content-Type": f"text/{SECRET}"}),
    ]
    assert [reply.status_code for reply in refused if not 400 <= reply.status_code < 500] == []
    assert traces(server) == []


def test_of_rows_whose_category_nobody_knows(server: Server, client: httpx.Client) -> None:
    """Whether it is refused or answered is the signature's affair."""
    for reply in (
        client.post(INCOME, json={**PERSON, "occupation": SECRET}),
        client.post(INCOME, data={"education": SECRET}),
    ):
        assert reply.status_code in (200, 422)
    assert traces(server) == []


def test_of_feedback_on_them_and_of_requests_without_a_key(server: Server, client: httpx.Client) -> None:
    request_id = client.post(INCOME, json={**PERSON, "age": AGE}).json()["request_id"]
    with server.client("feedback") as teller, server.client(None) as nobody:
        assert teller.put(f"/api/v1/mlrequests/{request_id}", json={"feedback": SECRET}).status_code == 422
        assert nobody.post(INCOME, json={**PERSON, "age": AGE}).status_code == 401
    assert traces(server) == []


def test_the_search_finds_what_is_kept(start: Callable[..., Server]) -> None:
    """The prober on what is known: without a rule it is in the log of predictions."""
    server = start("asgi")
    assert server.predict({**PERSON, "age": AGE}).status_code == 200
    assert traces(server) != []
