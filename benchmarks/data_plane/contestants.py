"""A server as the benchmark starts it: pinned, ready once it has answered a prediction, paused between shots."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from benchmarks.data_plane import asks, machine
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.errors import RunFailed
from benchmarks.data_plane.postgres import Cluster
from benchmarks.data_plane.trees import Process

# A thousand algorithms take a while to load.
START_TIMEOUT_S = 600
UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


class Ledger(Protocol):
    """What a server keeps of its requests, looked at from outside."""

    def rows(self, scope: str) -> int:
        """How many predictions it holds, of the scope `predict`, or how much feedback."""
        ...

    def size_bytes(self) -> int:
        """The size of its database."""
        ...


@dataclass(frozen=True)
class Contestant:
    """How to start a server: `command` are the arguments of Python, its port written as {port}.

    `keys`: scope to API key, where it wants any. `questions`: what it is asked and checked with, at its own paths.
    """

    name: str
    command: tuple[str, ...]
    questions: Sequence[Ask]
    environment: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = (0,)
    cluster: Cluster | None = None
    ledger: Ledger | None = None

    def at(self, path: str) -> Contestant:
        """The same, asked at another path."""
        return dataclasses.replace(self, questions=[ask.at(path) for ask in self.questions])


class Running:
    """A contestant that runs. `start_s`: from its command until its first prediction is answered."""

    def __init__(self, contestant: Contestant, folder: Path) -> None:
        self.contestant = contestant
        # Scope to how many requests were answered and checked, outside of any load.
        self.asked: Counter[str] = Counter()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        if contestant.cluster:
            contestant.cluster.process.tree.pin(contestant.cores)
        begun = time.perf_counter()
        self.process = Process(
            [str(machine.PYTHON), *(part.format(port=self.port) for part in contestant.command)],
            cores=contestant.cores,
            environment={**_inherited(), **contestant.environment},
            folder=machine.REPOSITORY,
            log=folder / f"{contestant.name}.log",
        )
        try:
            self._wait(begun + START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.perf_counter() - begun

    def headers(self, scope: str = "predict") -> dict[str, str]:
        """The headers of a request, with the key of `scope` where the server wants one."""
        key = self.contestant.keys.get(scope)
        return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def check(self, questions: Sequence[Ask]) -> None:
        """Returns when each is answered rightly. Raises RunFailed."""
        try:
            asks.check(self.url, self.headers(), questions)
        except (RunFailed, httpx.HTTPError) as error:
            raise RunFailed(f"{self.contestant.name}: {error}\n{self.process.last_words()}") from error
        self.asked["predict"] += len(questions)

    def cpu_s(self) -> tuple[float, float]:
        """Processor seconds so far, of the server and of its database server."""
        cluster = self.contestant.cluster
        return self.process.tree.cpu_s(), cluster.process.tree.cpu_s() if cluster else 0.0

    def pause(self) -> None:
        """It does nothing until `resume`, and its database server neither."""
        self.process.pause()
        if self.contestant.cluster:
            self.contestant.cluster.process.pause()

    def resume(self) -> None:
        """It goes on, on its cores."""
        if self.contestant.cluster:
            self.contestant.cluster.process.resume()
            self.contestant.cluster.process.tree.pin(self.contestant.cores)
        self.process.resume()

    def stop(self) -> None:
        """Ends it as an operator would."""
        if self.contestant.cluster:
            self.contestant.cluster.process.resume()
        self.process.stop()

    def _wait(self, until: float) -> None:
        first = self.contestant.questions[0]
        with httpx.Client(base_url=self.url, headers=self.headers(), timeout=60) as client:
            while time.perf_counter() < until and not self.process.has_ended:
                try:
                    if client.request(first.method, first.path, content=first.body).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.01)
        raise RunFailed(f"{self.contestant.name} did not start:\n{self.process.last_words()}")


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inherited() -> dict[str, str]:
    # Nothing of ours leaks in from outside; one thread a library, as there is one core.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ML_PIPELINE_", "DJANGO_"))}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
