"""A header that comes several times is joined by commas behind both doors, as WSGI has it."""

from __future__ import annotations

from homes import ENDPOINT
from people import PERSON
from servers import Server

PREDICT = f"/api/v1/{ENDPOINT}/predict"


def test_the_unit_is_all_that_were_given(door: Server) -> None:
    with door.client("predict") as client:
        headers = [*client.headers.items(), ("X-Unit", "ann"), ("X-Unit", "bob")]
        reply = client.post(PREDICT, json=PERSON, headers=headers)
    assert reply.status_code == 200, reply.text
    with door.client("read") as client:
        assert client.get(f"/api/v1/mlrequests/{reply.json()['request_id']}").json()["unit"] == "ann,bob"


def test_of_two_keys_neither_is_taken(door: Server) -> None:
    key = door.home.keys["predict"]
    with door.client(None) as client:
        reply = client.post(PREDICT, json=PERSON, headers=[("X-Api-Key", key), ("X-Api-Key", "mlp_other")])
    assert reply.status_code == 401
