"""While an algorithm is being loaded, keys and routes to what is loaded change at once; it serves when it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until
from strange_models import SlowToLoad, write_strange_bundle


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_a_load_that_hangs_holds_up_nobody(home: Home, start: Callable[..., Server], tmp_path: Path, door: str) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    bundle = write_strange_bundle(tmp_path / "slow", SlowToLoad(str(gate)))
    home.manage("register", str(bundle), "--endpoint", ENDPOINT, "--version", "1")
    gate.unlink()
    server = start(door)
    with server.client("manage") as client, server.client("read") as reader:
        known = {one["name"]: one["id"] for one in reader.get("/api/v1/mlalgorithms").json()}
        step = {"parent_mlalgorithm": known["strange"], "status": "production"}
        assert client.post("/api/v1/mlalgorithmstatuses", json=step).status_code == 201
        # The one before answers meanwhile.
        assert server.predict(PERSON).json()["algorithm"] == "random_forest"
        alias = {"parent_mlalgorithm": known["decision_tree"]}
        assert client.put(f"/api/v1/endpoints/{ENDPOINT}/aliases/tree", json=alias).status_code == 201
        with server.client("predict") as asking:
            reply = asking.post(f"/api/v1/{ENDPOINT}@tree/predict", json=PERSON)
        assert reply.json()["algorithm"] == "decision_tree"
        states = {one["name"]: one["state"] for one in client.get("/readyz").json()["algorithms"]}
        assert states == {"strange": "unloaded", "decision_tree": "ready"}
    home.manage("keys", "revoke", "predict-key")
    wait_until(lambda: server.predict(PERSON).status_code == 401)
    with server.client("admin") as client:
        gate.touch()
        path = f"/api/v1/{ENDPOINT}/predict"
        wait_until(lambda: client.post(path, json={"order": "fine"}).status_code == 200)
        assert client.post(path, json={"order": "fine"}).json()["algorithm"] == "strange"
