"""The data plane on MariaDB: logged before it is answered, whatever becomes of connections and of the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from homes import Home
from mariadb import MariaDB
from people import PERSON
from servers import Server, wait_until

pytestmark = pytest.mark.services
DOORS = pytest.mark.parametrize("door", ["asgi", "wsgi"])


@pytest.fixture
def database(mysql_home: Home) -> str:
    return mysql_home.database_url.rpartition("/")[2]


@DOORS
def test_a_server_killed_right_after_its_reply_has_the_row(
    mysql_home: Home, mariadb: MariaDB, database: str, start: Callable[..., Server], door: str
) -> None:
    for _ in range(3):
        server = start(door, at=mysql_home)
        answer = server.predict(PERSON).json()
        server.kill()
        found = mariadb.execute(
            f"SELECT response FROM endpoints_mlrequest WHERE id = '{answer['request_id']}'", database
        )
        assert found == [(answer["label"],)]


@DOORS
def test_connections_cut_while_idle_are_made_anew(
    mysql_home: Home, mariadb: MariaDB, database: str, start: Callable[..., Server], door: str
) -> None:
    server = start(door, at=mysql_home)
    for _ in range(20):
        assert server.predict(PERSON).status_code == 200
        with server.client("read") as client:
            assert client.get("/api/v1/mlrequests?limit=1").status_code == 200
        mariadb.cut_idle(database)
    assert server.predict(PERSON).status_code == 200


@DOORS
def test_a_database_that_is_gone_is_told_and_found_again(
    mysql_home: Home, mariadb: MariaDB, start: Callable[..., Server], door: str
) -> None:
    server = start(door, at=mysql_home)
    assert server.predict(PERSON).status_code == 200
    mariadb.stop()
    try:
        refused = server.predict(PERSON)
        with server.client(None) as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").status_code == 503
    finally:
        mariadb.start()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_unavailable")
    assert "retry-after" in refused.headers
    wait_until(lambda: server.predict(PERSON).status_code == 200)


def test_a_list_and_the_largest_row_fit(mysql_home: Home, start: Callable[..., Server]) -> None:
    server = start(at=mysql_home)
    many = server.predict([PERSON] * 10_000)
    assert (many.status_code, len(many.json())) == (200, 10_000)
    # Each quote is escaped twice on its way to the database: in the log's JSON, and in the statement.
    large = server.predict({**PERSON, "occupation": '"' * 4_900_000})
    assert large.status_code == 200, large.text[:500]
    with server.client("read") as client:
        logged = client.get(f"/api/v1/mlrequests/{large.json()['request_id']}").json()
    assert len(logged["input_data"]["occupation"]) == 4_900_000
