"""The promise: an answered prediction is in the database."""

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
