"""What cannot be loaded is reported and does not stop the others; a flipped byte is found by its digest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from homes import Home
from people import PERSON
from servers import Server, wait_until


def alter(home: Home, algorithm: str, where: str = "store") -> None:
    """Flips one bit of the algorithm's bundle: of the stored object, or of one file of its copy in the cache."""
    code = f"""
import django
django.setup()
from django.conf import settings
from ml_pipeline.apps.endpoints.models import MLAlgorithm
digest = MLAlgorithm.objects.get(name={algorithm!r}).artifact_digest
path = settings.HOME / "artifacts" / "bundles" / f"{{digest}}.zip"
if {where!r} != "store":
    path = settings.CACHE_DIR / digest / {where!r}
content = bytearray(path.read_bytes())
content[len(content) // 2] ^= 1
path.write_bytes(content)
"""
    home.python(code)


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_it_is_refused_and_the_others_answer(home: Home, start: Callable[..., Server], door: str) -> None:
    alter(home, "random_forest")
    server = start(door)
    with server.client(None) as client:
        ready = client.get("/readyz")
    assert ready.status_code == 503
    (state,) = ready.json()["algorithms"]
    assert (state["name"], state["state"]) == ("random_forest", "failed")
    assert "altered" in state["reason"]
    assert state["reason"] in server.log
    refused = server.predict(PERSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    assert server.predict(PERSON, status="testing").json()["algorithm"] == "extra_trees"
    assert server.predict(PERSON, status="staging").json()["algorithm"] == "decision_tree"


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "sample.json"])
def test_a_cache_that_was_altered_is_made_anew(home: Home, start: Callable[..., Server], file: str) -> None:
    before = start()
    answer = before.predict(PERSON).json()
    before.stop()
    alter(home, "random_forest", file)
    after = start().predict(PERSON).json()
    assert {**after, "request_id": ""} == {**answer, "request_id": ""}


def test_nothing_loaded_is_not_ready(home: Home, start: Callable[..., Server]) -> None:
    for algorithm in ("random_forest", "extra_trees", "decision_tree"):
        alter(home, algorithm)
    server = start()
    with server.client(None) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_a_server_without_algorithms_is_ready_for_the_first(home: Home, start: Callable[..., Server]) -> None:
    empty = Home(home.folder.parent / "empty").make()
    with start(at=empty).client(None) as client:
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["algorithms"]) == (200, [])


def test_a_server_starts_before_its_database_is_there_and_says_so(home: Home, start: Callable[..., Server]) -> None:
    bare = Home(home.folder.parent / "bare")
    bare.folder.mkdir()
    (bare.folder / "secret_key").write_text("0123456789" * 4)
    server = start(at=bare)
    with server.client(None) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        # Nothing is known of keys yet, so none is called invalid.
        refused = client.post("/api/v1/income_classifier/predict", json={}, headers={"X-Api-Key": "mlp_any"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    bare.manage("migrate", "-v", "0")
    with server.client(None) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_what_cannot_load_never_replaces_what_serves(home: Home, start: Callable[..., Server], door: str) -> None:
    alter(home, "decision_tree")
    server = start(door)
    with server.client() as client:
        tree = client.get("/api/v1/mlalgorithms?name=decision_tree").json()[0]["id"]
        body = {"parent_mlalgorithm": tree, "status": "production"}
        assert client.post("/api/v1/mlalgorithmstatuses", json=body).status_code == 201
        assert server.predict(PERSON).json()["algorithm"] == "random_forest"
        assert server.predict(PERSON, algorithm="decision_tree").status_code in (404, 503)
        ready = client.get("/readyz")
        assert {one["name"]: one["state"] for one in ready.json()["algorithms"]} == {"decision_tree": "failed"}
        # It still answers, so a load balancer must not take it out.
        assert ready.status_code == 200
        assert client.post("/api/v1/endpoints/income_classifier/rollback").status_code == 201
        assert server.predict(PERSON).json()["algorithm"] == "random_forest"
    assert "decision_tree 0.0.1 cannot serve income_classifier" in server.log


def test_what_could_not_be_loaded_serves_once_it_can(home: Home, start: Callable[..., Server]) -> None:
    alter(home, "decision_tree")
    server = start()
    with server.client() as client:
        tree = client.get("/api/v1/mlalgorithms?name=decision_tree").json()[0]["id"]
        body = {"parent_mlalgorithm": tree, "status": "production"}
        assert client.post("/api/v1/mlalgorithmstatuses", json=body).status_code == 201
    assert server.predict(PERSON).json()["algorithm"] == "random_forest"
    # The same bit once more: it is what it was. Nothing else changes.
    alter(home, "decision_tree")
    wait_until(lambda: server.predict(PERSON).json()["algorithm"] == "decision_tree", 30)
