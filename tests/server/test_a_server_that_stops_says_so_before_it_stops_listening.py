"""`serve`, told to stop, is not ready while it still listens; what is under way is answered, and then it ends."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from homes import REPOSITORY, Home
from servers import free_port, wait_until
from strange_models import write_strange_bundle

COMMAND = [str(Path(sys.executable).with_name("ml-pipeline")), "serve"]
# As the command, but for the pause.
FOR_LONG = """
import django
django.setup()
from django.conf import settings
from ml_pipeline.server import listening
with listening.until_stopped():
    listening.serve(settings.HOST, settings.PORT, lambda: print("Serving", flush=True), drain_s=3600)
"""


@contextlib.contextmanager
def serving(home: Home, command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, which serves, and its address."""
    port = free_port()
    own = {**home.environment, "PORT": str(port), **environment}
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Serving")
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def readiness(url: str) -> int:
    """What a load balancer sees, on a connection of its own; 0 when nobody listens."""
    try:
        return httpx.get(f"{url}/readyz", timeout=30).status_code
    # The second: the system took the connection just before the listener was closed, and it with it.
    except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
        return 0


def test_a_load_balancer_sees_it_and_what_is_under_way_is_answered(home: Home, tmp_path: Path) -> None:
    home.manage("register", str(write_strange_bundle(tmp_path / "strange")), "--endpoint", "strange", "--version", "1")
    gate = tmp_path / "gate"
    with serving(home, COMMAND, ML_PIPELINE_DEADLINE_MS="60000") as (process, url), ThreadPoolExecutor() as pool:
        client = httpx.Client(base_url=url, headers={"X-Api-Key": home.keys["predict"]}, timeout=60)
        with client, httpx.Client(base_url=url, timeout=30) as kept:
            assert (kept.get("/readyz").status_code, readiness(url)) == (200, 200)
            path = "/api/v1/strange/predict?status=testing"
            under_way = pool.submit(client.post, path, json={"order": f"wait {gate}"})
            wait_until(lambda: kept.get("/readyz").json()["queue"]["rows"] > 0 or under_way.done())
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: readiness(url) == 503)
            assert kept.get("/readyz").status_code == 503
            # What comes all the same is answered.
            late = httpx.post(f"{url}{path}", json={}, headers=client.headers, timeout=30)
            assert late.status_code == 422
            assert not under_way.done()
            wait_until(lambda: readiness(url) == 0, 30)
            assert not under_way.done()
            gate.touch()
            assert under_way.result().json()["label"] == "yes"
            assert process.wait(30) == 0


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_it_at_once(home: Home, second: signal.Signals) -> None:
    with serving(home, [sys.executable, "-c", FOR_LONG]) as (process, url):
        process.send_signal(signal.SIGINT)
        wait_until(lambda: readiness(url) == 503)
        process.send_signal(second)
        assert process.wait(30) == 0
