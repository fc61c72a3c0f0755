"""An endpoint's settings say what the log keeps of its inputs; rows, replies and hashes are there all the same."""

from __future__ import annotations

import json
from typing import Any

import log_chains
import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server

ROWS = 2_000


def change(server: Server, settings: Any, scope: str = "manage") -> int:
    with server.client(scope) as client:
        address = f"/api/v1/endpoints/{ENDPOINT}"
        return client.patch(address, params={"wait": "10"}, json={"settings": settings}).status_code


def logged(server: Server, request_id: str) -> Any:
    with server.client("read") as client:
        return client.get(f"/api/v1/mlrequests/{request_id}").json()["input_data"]


def test_values_of_redacted_fields_are_not_logged(door: Server) -> None:
    assert change(door, {"redact": ["age", "education"]}) == 200
    replies = door.predict([PERSON, {"age": 41}]).json()
    first, second = (logged(door, reply["request_id"]) for reply in replies)
    assert (first["age"], first["education"]) == ("[redacted]", "[redacted]")
    assert first["hours-per-week"] == PERSON["hours-per-week"]
    assert (second["age"], second["education"]) == ("[redacted]", None)
    with door.client("feedback") as client:
        told = client.put(f"/api/v1/mlrequests/{replies[0]['request_id']}", json={"feedback": "<=50K"})
    assert told.status_code == 200
    assert all(batch.holds for batch in log_chains.checked(door.home))


def test_a_fraction_of_requests_keeps_its_input_and_the_id_says_which(door: Server) -> None:
    kept = {}
    for fraction in (0, 1, 0.25):
        assert change(door, {"store_inputs": fraction}) == 200
        ids = [reply["request_id"] for _ in range(2) for reply in door.predict([PERSON] * (ROWS // 2)).json()]
        code = (
            "import django, json\ndjango.setup()\nfrom ml_pipeline.apps.endpoints.models import MLRequest\n"
            f"rows = MLRequest.objects.order_by('-created_at')[:{ROWS}].values_list('pk', 'input_data')\n"
            "print(json.dumps([str(one) for one, text in rows if text != 'null']))"
        )
        stored = set(json.loads(door.home.python(code))) & set(ids)
        kept[fraction] = len(stored)
        assert stored == {one for one in ids if int(one[-8:], 16) < fraction * 2**32}
    assert (kept[0], kept[1]) == (0, ROWS)
    # Five standard deviations to each side.
    assert abs(kept[0.25] - ROWS / 4) < 5 * (ROWS * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize(
    "settings",
    [
        [],
        {"other": 1},
        {"redact": "age"},
        {"redact": [""]},
        {"redact": [1]},
        {"redact": ["a" * 129]},
        {"redact": ["a"] * 201},
        {"store_inputs": 1.5},
        {"store_inputs": -0.1},
        {"store_inputs": True},
        {"store_inputs": "1"},
        {"store_inputs": None},
    ],
)
def test_settings_that_there_are_not_change_nothing(door: Server, settings: Any) -> None:
    assert change(door, {"redact": ["age"]}) == 200
    assert change(door, settings) == 422
    with door.client("read") as client:
        assert client.get(f"/api/v1/endpoints/{ENDPOINT}").json()["settings"] == {"redact": ["age"]}


def test_who_may_only_read_changes_nothing(door: Server) -> None:
    assert change(door, {}, scope="read") == 403
