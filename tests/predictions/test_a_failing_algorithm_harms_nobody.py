"""An algorithm that raises: a clear error for its row, the next request is answered, and the server stops in order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from homes import Home
from people import PERSON
from servers import Server, wait_until
from strange_models import write_strange_bundle

STRANGE = "/api/v1/strange/predict"


@pytest.fixture
def strange_home(home: Home, tmp_path: Path) -> Home:
    write_strange_bundle(tmp_path / "strange")
    home.manage("register", str(tmp_path / "strange"), "--endpoint", "strange", "--version", "1")
    return home


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_the_next_request_is_answered_and_shutdown_completes(
    strange_home: Home, start: Callable[..., Server], door: str
) -> None:
    server = start(door)
    with server.client("predict") as client:
        for _ in range(5):
            failed = client.post(STRANGE, params={"status": "testing"}, json={"order": "raise"})
            assert failed.status_code == 500
            assert set(failed.json()["error"]["details"]) == {"request_id"}
            fine = client.post(STRANGE, params={"status": "testing"}, json={"order": "fine"})
            assert fine.json()["label"] == "yes"
        mixed = client.post(STRANGE, params={"status": "testing"}, json=[{"order": "fine"}, {"order": "nan"}])
        assert mixed.status_code == 500
    assert server.predict(PERSON).status_code == 200
    with server.client("read") as client:
        outcomes = [row["outcome"] for row in client.get("/api/v1/mlrequests").json()]
    assert sorted(outcomes) == ["internal"] * 7 + ["ok"] * 6
    # uvicorn ends by the signal itself once everything is finished.
    assert server.stop() in (0, -signal.SIGTERM)


def test_what_is_under_way_is_answered_before_the_server_stops(
    strange_home: Home, start: Callable[..., Server], tmp_path: Path
) -> None:
    server = start("asgi")
    gate = tmp_path / "gate"

    def ask() -> int:
        with server.client("predict") as client:
            body = {"order": f"wait {gate}"}
            return client.post(STRANGE, params={"status": "testing"}, json=body).status_code

    def under_way() -> int:
        with server.client(None) as client:
            return int(client.get("/readyz").json()["queue"]["rows"])

    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask)
        wait_until(lambda: under_way() == 1)
        stopped = pool.submit(server.stop)
        gate.touch()
        assert asked.result() == 200
        assert stopped.result() in (0, -signal.SIGTERM)
