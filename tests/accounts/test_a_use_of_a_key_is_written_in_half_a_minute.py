"""When a key was last used is in the database half a minute later at most, whichever process and plane it asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until

# As the documentation of the API has it.
LATE_S = 30
# What a machine that does other things may take on top to write and to be asked.
BUSY_S = 15


def used_at(server: Server, name: str) -> datetime | None:
    with server.client("admin") as client:
        [key] = client.get("/api/v1/keys", params={"name": name}).json()
    return None if key["last_used_at"] is None else datetime.fromisoformat(key["last_used_at"])


def test_a_use_is_written_in_time_by_whichever_process_and_plane(home: Home, start: Callable[..., Server]) -> None:
    pair = start("asgi"), start("wsgi")
    with pair[0].client("read") as reader, pair[1].client("predict") as predictor:
        begun = datetime.now(UTC)
        assert reader.get("/api/v1/endpoints").status_code == 200
        assert predictor.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON).status_code == 200

    def written() -> bool:
        return None not in (used_at(pair[0], "read-key"), used_at(pair[1], "predict-key"))

    wait_until(written, LATE_S + BUSY_S)
    for name in ("read-key", "predict-key"):
        at = used_at(pair[0], name)
        assert at is not None
        assert begun <= at <= datetime.now(UTC)
    # Whoever did not ask is not said to have.
    assert used_at(pair[0], "feedback-key") is None


def test_a_use_is_written_when_its_process_ends(start: Callable[..., Server]) -> None:
    for door in ("asgi", "wsgi"):
        server = start(door)
        begun = datetime.now(UTC)
        assert server.predict(PERSON).status_code == 200
        server.stop()
        at = used_at(start("asgi"), "predict-key")
        assert at is not None
        assert begun <= at <= datetime.now(UTC)


def test_a_use_that_could_not_be_written_is_written_later(home: Home) -> None:
    told = home.python(
        """
import django
django.setup()
from django.db import connection
from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.models import ApiKey
key, secret = keys.create("mine", ["read"], actor="tests")
keys.grant_of(secret)

def gone(execute, *arguments):
    raise django.db.OperationalError("gone")

with connection.execute_wrapper(gone):
    try:
        keys.write_uses()
    except django.db.OperationalError as error:
        print(error)
keys.write_uses()
print(ApiKey.objects.get(pk=key.pk).last_used_at is not None)
"""
    )
    assert told.split() == ["gone", "True"]
