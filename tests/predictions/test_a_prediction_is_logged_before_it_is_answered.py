"""The promise: an answered prediction is in the database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from homes import Home
from people import PERSON
from servers import Server


def test_the_reply_is_the_logged_response(door: Server) -> None:
    reply = door.predict(PERSON)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    with door.client("read") as client:
        logged = client.get(f"/api/v1/mlrequests/{answer['request_id']}").json()
    assert logged["full_response"] == answer
    assert logged["input_data"] == PERSON
    assert logged["response"] == answer["label"]
    assert logged["outcome"] == "ok"


@pytest.mark.parametrize("door_kind", ["asgi", "wsgi"])
def test_a_server_killed_right_after_its_reply_has_the_row(
    home: Home, start: Callable[..., Server], door_kind: str
) -> None:
    for _ in range(3):
        server = start(door_kind)
        answer = server.predict(PERSON).json()
        server.kill()
        with closing(sqlite3.connect(home.folder / "db.sqlite3")) as database:
            found = database.execute("SELECT count(*) FROM endpoints_mlrequest WHERE id = ?", [as_stored(answer)])
            assert found.fetchone() == (1,)


def as_stored(answer: dict[str, str]) -> str:
    return answer["request_id"].replace("-", "")
