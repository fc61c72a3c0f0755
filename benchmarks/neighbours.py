"""What the benchmarks share: a server with an honest neighbour, a client of its own process, and what they measure."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "uploads")]

import httpx  # noqa: E402  (the parts of the tests are found from here on)
import processes  # noqa: E402
import wine  # noqa: E402
from homes import Home  # noqa: E402
from servers import Server  # noqa: E402

PACE_S = 0.005


class LocalHome(Home):
    """A home whose processes can import the models of the tests."""

    @property
    def environment(self) -> dict[str, str]:
        """As in tests, with their folder of uploads."""
        folders = f"{ROOT / 'tests'}:{ROOT / 'tests' / 'uploads'}"
        return {**super().environment, "PYTHONPATH": folders}


@contextmanager
def served(door: str, home: Home, **environment: str) -> Iterator[Server]:
    """A running server with the honest neighbour in production."""
    # Ended from outside, it ends its server too.
    signal.signal(signal.SIGTERM, _leave)
    server = Server(door, home, environment).start()
    try:
        with server.client("manage") as client:
            form, files = wine.form("honest", endpoint="neighbour"), wine.files(wine.skops_file(), "m.skops")
            reply = client.post(wine.UPLOADS, data=form, files=files)
            reply.raise_for_status()
            step = {"parent_mlalgorithm": reply.json()["id"], "status": "production", "reason": "benchmark"}
            client.post("/api/v1/mlalgorithmstatuses", json=step).raise_for_status()
        yield server
    finally:
        server.stop()


def _leave(number: int, frame: object) -> None:
    raise SystemExit(1)


def neighbour_latencies_s(server: Server, seconds: float) -> list[float]:
    """How long each prediction of the neighbour took, one client in a process of its own asking for `seconds`."""
    stop = neighbour(server)
    time.sleep(seconds)
    return stop()


def neighbour(server: Server) -> Callable[[], list[float]]:
    """Begins to ask the neighbour, until the result is called; it then says what `neighbour_latencies_s` does."""
    process = subprocess.Popen(
        [sys.executable, __file__, server.url, server.home.keys["predict"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    # It imports for a while before it asks.
    process.stdout.readline()

    def stop() -> list[float]:
        said, _ = process.communicate()
        latencies: list[float] = json.loads(said)
        return latencies

    return stop


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie; the largest for 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Memory:
    """The most memory that the server's own processes used while the block ran; `peak_bytes` afterwards."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._done = threading.Event()
        self.peak_bytes = 0

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak_bytes = max(self.peak_bytes, server_bytes(self._server))


def server_bytes(server: Server) -> int:
    """Resident memory of the server and its workers; not of the processes in which models are examined or run."""
    own = server._process.pid if server._process else 0
    total = 0
    for pid in (own, *processes.children_of(own)):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"ml_pipeline.apps.ml" not in command:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    return total


def report(results: Sequence[object], path: Path | None) -> None:
    """The results as JSON, in a file where one is named, else printed."""
    if path:
        path.write_text(json.dumps(results, indent=2))
    else:
        print(json.dumps(results))


def _ask(url: str, key: str) -> list[float]:
    latencies: list[float] = []
    # The input ends when whoever started this wants to know.
    listening = threading.Thread(target=sys.stdin.read, daemon=True)
    listening.start()
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        while listening.is_alive():
            begun = time.perf_counter()
            client.post(wine.NEIGHBOUR, json=wine.ROW).raise_for_status()
            if not latencies:
                print("begun", flush=True)
            latencies.append(time.perf_counter() - begun)
            time.sleep(PACE_S)
    return latencies


if __name__ == "__main__":
    print(json.dumps(_ask(sys.argv[1], sys.argv[2])))
