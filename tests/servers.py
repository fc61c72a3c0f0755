"""Real servers under test, each a process of its own on a free port of the loopback interface."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import ENDPOINT, REPOSITORY, Home

START_TIMEOUT_S = 60
# For tests of what is the same behind both doors: one of them is enough.
BY_ASGI, BY_WSGI = (pytest.mark.parametrize("door", [one], indirect=True) for one in ("asgi", "wsgi"))

# A range for each test process: a port that one has found free is not taken by another before its server binds. Where
# it begins differs between test runs that go on at once.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_FIRST = os.getpid() * 37 % 2_000
_PORTS = itertools.cycle(20_000 + 2_000 * _WORKER + (_FIRST + one) % 2_000 for one in range(2_000))


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the range has no end")


def wait_until(condition: Callable[[], bool], seconds: float = 10.0, *, pause_s: float = 0.01) -> float:
    """Seconds until `condition` holds; fails when it does not within `seconds`. It is looked at every `pause_s`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(pause_s)
    return time.monotonic() - begun


@contextlib.contextmanager
def worker(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of `home`, killed at the end at the latest."""
    process = subprocess.Popen([sys.executable, "backend/manage.py", "worker"], env=home.environment, cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Server:
    """One server process. `door` is `asgi` (uvicorn), `wsgi` (gunicorn with our threads), `uwsgi` or `runserver`."""

    def __init__(self, door: str, home: Home, environment: dict[str, str]) -> None:
        self.door = door
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = home.folder / f"{door}-{self.port}.log"
        self._environment = {**home.environment, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self) -> list[str]:
        bin_folder = Path(sys.executable).parent
        match self.door:
            case "asgi":
                return [
                    str(bin_folder / "uvicorn"),
                    "ml_pipeline.server.asgi:application",
                    *("--port", str(self.port), "--no-access-log", "--log-level", "warning", "--lifespan", "on"),
                    "--no-proxy-headers",
                ]
            case "wsgi":
                return [
                    str(bin_folder / "gunicorn"),
                    "ml_pipeline.server.wsgi:application",
                    *("--bind", f"127.0.0.1:{self.port}", "--threads", "4"),
                    *("--worker-class", "ml_pipeline.server.gathering.GatheringWorker"),
                    *("--forwarded-allow-ips", ""),
                ]
            case "uwsgi":
                return [
                    str(bin_folder / "uwsgi"),
                    *("--module", "ml_pipeline.server.wsgi:application", "--virtualenv", sys.prefix),
                    *("--http-socket", f"127.0.0.1:{self.port}", "--threads", "4", "--enable-threads", "--lazy-apps"),
                    *("--master", "--single-interpreter", "--die-on-term", "--need-app", "--disable-logging"),
                    # A worker that is told to stop while it starts does not hear it.
                    *("--worker-reload-mercy", "10"),
                    # It closes after each reply and does not say so; clients would take the connection for open.
                    *("--add-header", "Connection: close"),
                ]
            case "runserver":
                return [sys.executable, "backend/manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        raise ValueError(self.door)

    def start(self) -> Server:
        """Returns once the server answers, ready or not."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environment,
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                httpx.get(f"{self.url}/healthz", timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return self
        self.stop()
        raise AssertionError(f"{self.door} did not start:\n{self.log}")

    @property
    def pid(self) -> int:
        """The process that was started; behind gunicorn its arbiter."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's lines, each a JSON object."""
        return [json.loads(line) for line in self.log.split("\n") if line]

    def stop(self) -> int:
        """Stops it as an operator would, and returns its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def kill(self) -> None:
        """Ends it and its workers at once, as a power cut would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def client(self, scope: str | None = "admin", **kwargs: Any) -> httpx.Client:
        """A client that presents the key of `scope`; None for none."""
        headers = {"Authorization": f"Bearer {self.home.keys[scope]}"} if scope else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **kwargs)

    def predict(self, row: Any, scope: str = "predict", **parameters: str) -> httpx.Response:
        """One prediction request to the income classifier."""
        with self.client(scope) as client:
            return client.post(f"/api/v1/{ENDPOINT}/predict", json=row, params=parameters)
