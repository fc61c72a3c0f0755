"""The journal: each commit a batch, hashed over its rows and the batch before; the same on every database."""

from __future__ import annotations

from pathlib import Path

import log_chains
import pytest
from homes import Home
from journals import JOURNAL
from people import PERSON
from servers import Server


def test_every_batch_follows_from_its_rows_and_the_one_before(logged_home: Home) -> None:
    server = Server("asgi", logged_home, {}).start()
    try:
        for rows in (PERSON, [PERSON] * 700, PERSON, [{**PERSON, "race": "Ünïcode ☃ \U0001f600"}, PERSON]):
            reply = server.predict(rows)
            assert reply.status_code == 200
        # Feedback stands beside the log, not in it: the chain holds with it as without.
        lines = [{"request_id": row["request_id"], "feedback": ">50K"} for row in reply.json()]
        with server.client("feedback") as client:
            told = client.post("/api/v1/mlrequests/feedback", json=lines).json()
        assert (told["accepted"], told["invalid"]) == (2, [])
        with server.client("read") as client:
            page = client.get("/api/v1/mlrequests?limit=2").json()
        assert [row["feedback"] for row in page] == [">50K", ">50K"]
    finally:
        server.stop()
    checked = log_chains.checked(logged_home)
    assert [batch.rows for batch in checked] == [1, 700, 1, 2]
    assert all(batch.holds for batch in checked)


def test_postgresql_partitions_the_log_by_id(postgres_url: str, tmp_path: Path) -> None:
    found = (
        Home(tmp_path / "home", postgres_url)
        .make()
        .python(
            """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_get_partkeydef('endpoints_mlrequest'::regclass)")
    print(cursor.fetchone()[0])
    cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'endpoints_mlrequest'::regclass")
    print(cursor.fetchone()[0])
"""
        )
    )
    assert found.splitlines() == ["RANGE (id)", "endpoints_mlrequest_default"]


FORKED = """
def write(_):
    call = Told()
    journal.submit(Group([entry()], [call]))
    call.finished.result(30)
    assert call.error is None

connection.close()
child = os.fork()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(write, range(20)))
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""


def test_a_forked_process_is_a_writer_of_its_own(logged_home: Home) -> None:
    logged_home.python(JOURNAL + FORKED)
    checked = log_chains.checked(logged_home)
    assert sum(batch.rows for batch in checked) == 40
    assert all(batch.holds for batch in checked)


TOGETHER = """
calls = [Told() for _ in range(3)]
entries = [entry(), entry(%s), entry()]
# They gather while somebody else writes.
with turn:
    for entry, call in zip(entries, calls):
        journal.submit(Group([entry], [call]))
for call in calls:
    call.finished.result(30)
print([call.error is None for call in calls])
assert journal.close(30)
"""


@pytest.mark.parametrize("bad", ["unit=object()", "outcome=None"])
def test_what_no_database_can_hold_fails_alone(logged_home: Home, bad: str) -> None:
    assert logged_home.python(JOURNAL + TOGETHER % bad).splitlines()[-1] == "[True, False, True]"
    checked = log_chains.checked(logged_home)
    assert sum(batch.rows for batch in checked) == 2
    assert all(batch.holds for batch in checked)
