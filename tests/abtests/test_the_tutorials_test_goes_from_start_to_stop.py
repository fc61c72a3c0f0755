"""A/B tests over HTTP: the tutorial's sequence, form by form; and one that a worker decides."""

from __future__ import annotations

import subprocess
import sys

import requests
import trials
from homes import ENDPOINT, REPOSITORY
from people import as_rows, held_out_people
from servers import Server, wait_until

from ml_pipeline.client import Client


def test_the_tutorials_sequence_works(door: Server, admin: Client, algorithms: dict[str, int]) -> None:
    key = {"X-Api-Key": door.home.keys["admin"]}
    champion = trials.in_production(admin)
    pair = {"parent_mlalgorithm_1": algorithms["random_forest"], "parent_mlalgorithm_2": algorithms["extra_trees"]}
    body = {"title": "forests", "created_by": "piotrek", **pair}
    test = requests.post(f"{door.url}/api/v1/abtests?wait=30", body, headers=key, timeout=60)
    assert test.status_code == 201, test.text
    assert test.json()["created_by"] == "key:admin-key"
    names = set()
    for row in as_rows(held_out_people().head(30)):
        address = f"{door.url}/api/v1/{ENDPOINT}/predict?status=ab_testing"
        answer = requests.post(address, row, headers=key, timeout=30).json()
        assert answer["abtest"] == test.json()["id"], answer
        names.add(answer["algorithm"])
        feedback = requests.put(
            f"{door.url}/api/v1/mlrequests/{answer['request_id']}", {"feedback": "<=50K"}, headers=key, timeout=30
        )
        assert feedback.status_code == 200, feedback.text
    assert names == {"random_forest", "extra_trees"}
    assert trials.in_production(admin) == []
    stopped = requests.post(f"{door.url}/api/v1/stop_ab_test/{test.json()['id']}", headers=key, timeout=60)
    assert stopped.status_code == 200, stopped.text
    record = stopped.json()
    assert record["message"] == "AB Test finished."
    assert (record["state"], record["units"], record["labels"]) == ("finished", 30, 30)
    assert record["result"] == "stayed"
    assert "not shown to be better" in record["summary"]
    assert trials.in_production(admin) == champion
    found = admin.abtests.verify(record["id"])
    assert (found["is_verified"], found["problems"], found["uncounted"]) == (True, [], 0)


def test_a_worker_decides_by_itself(door: Server, admin: Client, algorithms: dict[str, int]) -> None:
    rows = as_rows(held_out_people().head(400))
    (before,) = trials.in_production(admin)
    other = "extra_trees" if before == "random_forest" else "random_forest"
    test = admin.abtests.start("by itself", [algorithms[before], algorithms[other]], wait_s=30)
    replies = [reply for at in range(0, 400, 50) for reply in admin.predict(ENDPOINT, rows[at : at + 50])]
    # As if the challenger were always right, and the champion never.
    labels = {0: {"<=50K": ">50K", ">50K": "<=50K"}, 1: {"<=50K": "<=50K", ">50K": ">50K"}}
    told = [{"request_id": one["request_id"], "feedback": labels[one["arm"]][one["label"]]} for one in replies]
    assert admin.feedback_all(told)["accepted"] == 400
    command = [sys.executable, "backend/manage.py", "worker"]
    with subprocess.Popen(command, env=door.home.environment, cwd=REPOSITORY) as worker:
        wait_until(lambda: admin.abtests.get(test["id"])["state"] == "finished", 60)
        worker.terminate()
    found = admin.abtests.get(test["id"])
    assert (found["result"], trials.in_production(admin)) == ("promoted", [other])
    assert found["certificate"]["decision"]["outcome"] == "promote"
    assert admin.abtests.verify(test["id"])["is_verified"]
    event = next(one for one in admin.events(action="abtest.ended"))
    assert event["actor"] == f"abtest:{test['id']}"
