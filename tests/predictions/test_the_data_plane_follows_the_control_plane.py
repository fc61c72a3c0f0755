"""Promotions, rollbacks and keys reach predictions: at once where they were made, soon elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable

from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until


def answering(server: Server) -> str:
    return str(server.predict(PERSON).json()["algorithm"])


def promote(server: Server, name: str) -> None:
    with server.client("manage") as client, server.client("read") as reader:
        algorithm = reader.get(f"/api/v1/mlalgorithms?name={name}").json()[0]["id"]
        body = {"parent_mlalgorithm": algorithm, "status": "production"}
        assert client.post("/api/v1/mlalgorithmstatuses", json=body).status_code == 201


def test_a_promotion_and_a_rollback_are_served_at_once_where_they_were_made(start: Callable[..., Server]) -> None:
    for door in ("asgi", "wsgi"):
        server = start(door)
        assert answering(server) == "random_forest"
        promote(server, "extra_trees")
        assert answering(server) == "extra_trees"
        with server.client("manage") as client:
            reply = client.post(f"/api/v1/endpoints/{ENDPOINT}/rollback", json={"reason": "worse"})
            assert (reply.status_code, reply.json()["created_by"]) == (201, "key:manage-key")
        assert answering(server) == "random_forest"
        with server.client("read") as client:
            history = client.get(f"/api/v1/endpoints/{ENDPOINT}/history").json()
            assert (history[0]["algorithm"], history[0]["status"], history[0]["reason"]) == (
                "random_forest",
                "production",
                "worse",
            )
            promoted = next(
                step for step in history if step["algorithm"] == "extra_trees" and step["status"] == "production"
            )
            then = client.get(f"/api/v1/endpoints/{ENDPOINT}/history", params={"at": promoted["created_at"]}).json()
            assert then["production"]["algorithm"] == "extra_trees"
            assert then["production"]["created_by"] == "key:manage-key"


def test_other_processes_follow(start: Callable[..., Server]) -> None:
    one, other = start("asgi"), start("wsgi")
    assert answering(other) == "random_forest"
    promote(one, "decision_tree")
    wait_until(lambda: answering(other) == "decision_tree")


def test_what_is_registered_beside_a_running_server_is_served(
    home: Home, start: Callable[..., Server], bundles: object
) -> None:
    server = start()
    home.manage("register", f"{bundles}/decision_tree", "--endpoint", ENDPOINT, "--version", "0.0.2")
    wait_until(lambda: server.predict(PERSON, version="0.0.2").status_code == 200)
    assert server.predict(PERSON, version="0.0.2").json()["version"] == "0.0.2"


def test_a_revoked_key_is_out_and_a_new_one_in(home: Home, start: Callable[..., Server]) -> None:
    server = start()
    made = json.loads(home.manage("keys", "create", "late", "--scope", "predict", "--json").stdout)
    with server.client(None) as client:
        headers = {"X-Api-Key": made["key"]}

        def status() -> int:
            return client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON, headers=headers).status_code

        wait_until(lambda: status() == 200)
        home.manage("keys", "revoke", "late")
        wait_until(lambda: status() == 401)


def test_selection_narrows_and_prefers_production(start: Callable[..., Server]) -> None:
    server = start()

    def chosen(**parameters: str) -> tuple[int, str]:
        reply = server.predict(PERSON, **parameters)
        return reply.status_code, reply.json().get("algorithm", "")

    assert chosen() == (200, "random_forest")
    assert chosen(version="0.0.1") == (200, "random_forest")
    assert chosen(status="staging") == (200, "decision_tree")
    assert chosen(algorithm="extra_trees") == (200, "extra_trees")
    assert chosen(algorithm="extra_trees", status="production") == (404, "")
    assert chosen(algorithm="extra_trees", version="0.0.1", status="testing") == (200, "extra_trees")
    with_all = server.predict(PERSON, probabilities="1").json()
    assert set(with_all["probabilities"]) == {"<=50K", ">50K"}
    assert with_all["probabilities"][">50K"] == with_all["probability"]


def test_the_unit_is_logged_from_query_and_header(start: Callable[..., Server]) -> None:
    server = start()
    by_query = server.predict(PERSON, unit="customer 7").json()["request_id"]
    with server.client("predict") as client:
        headers = {"X-Unit": "customer 8"}
        by_header = client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON, headers=headers).json()["request_id"]
    with server.client("read") as client:
        assert client.get(f"/api/v1/mlrequests/{by_query}").json()["unit"] == "customer 7"
        assert client.get("/api/v1/mlrequests", params={"unit": "customer 8"}).json()[0]["id"] == by_header


def test_the_first_request_of_an_idle_process_is_judged_by_what_is_true_now(home: Home) -> None:
    told = home.python(
        f"""
import io
from ml_pipeline.server.wsgi import application
from ml_pipeline.apps.accounts import access, keys
keys.revoke(keys.named("predict-key", access.operator()), actor="tests")
environ = {{
    "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/{ENDPOINT}/predict", "CONTENT_LENGTH": "2",
    "HTTP_X_API_KEY": {home.keys["predict"]!r}, "wsgi.input": io.BytesIO(b"{{}}"),
}}
b"".join(application(environ, lambda status, headers: print(status)))
"""
    )
    assert told.startswith("401")
