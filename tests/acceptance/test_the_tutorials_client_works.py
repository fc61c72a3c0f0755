"""A client written for the Django tutorial works here, with the key header as its one change."""

from __future__ import annotations

import requests
from homes import ENDPOINT
from people import as_rows, held_out_people
from servers import Server


def test_the_tutorials_simulation_runs_to_its_end(door: Server) -> None:
    key = {"X-Api-Key": door.home.keys["admin"]}
    frame = held_out_people().head(20)
    truth = "<=50K"
    for row in as_rows(frame):
        # requests leaves out what is None and sends the rest as a form.
        reply = requests.post(f"{door.url}/api/v1/{ENDPOINT}/predict?status=production", row, headers=key, timeout=30)
        answer = reply.json()
        assert reply.status_code == 200, answer
        assert answer["status"] == "OK"
        assert answer["label"] in ("<=50K", ">50K")
        assert 0 <= answer["probability"] <= 1
        feedback = requests.put(
            f"{door.url}/api/v1/mlrequests/{answer['request_id']}", {"feedback": truth}, headers=key, timeout=30
        )
        assert feedback.status_code == 200, feedback.text

    def listing(name: str) -> list[dict[str, object]]:
        document = requests.get(f"{door.url}/api/v1/{name}", headers=key, timeout=30).json()
        assert isinstance(document, list)
        return document

    assert {"id", "name", "owner", "created_at"} <= set(listing("endpoints")[0])
    assert {"id", "name", "version", "owner", "parent_endpoint", "current_status", "code"} <= set(
        listing("mlalgorithms")[0]
    )
    assert {"id", "active", "status", "created_by", "created_at", "parent_mlalgorithm"} <= set(
        listing("mlalgorithmstatuses")[0]
    )
    newest = listing("mlrequests")[0]
    assert {"id", "input_data", "full_response", "response", "created_at", "parent_mlalgorithm"} <= set(newest)
    assert newest["feedback"] == truth


def test_a_form_gets_the_same_answer_as_json(door: Server) -> None:
    key = {"X-Api-Key": door.home.keys["predict"]}
    address = f"{door.url}/api/v1/{ENDPOINT}/predict"
    for row in as_rows(held_out_people().tail(50)):
        form = requests.post(address, row, headers=key, timeout=30).json()
        json_ = requests.post(address, json=row, headers=key, timeout=30).json()
        assert (form["label"], form["probability"]) == (json_["label"], json_["probability"])
