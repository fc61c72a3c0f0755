"""Ray clusters of a test's own: a head and other nodes on this machine, each with a processor and little memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import REPOSITORY
from servers import free_port, wait_until

STORE_BYTES = 120_000_000


def documented() -> list[str]:
    """The commands that start a cluster, as people find them: for its head, and for other nodes."""
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    return [line for line in page.splitlines() if line.startswith("ray start ")]


@contextlib.contextmanager
def started(*, nodes: int = 2, shadow: Path | None = None, mode: str = "token") -> Iterator[Cluster]:
    """A cluster with so many nodes, gone at the end (see `Cluster`)."""
    cluster = Cluster(shadow=shadow, mode=mode)
    try:
        yield cluster.start(nodes)
    finally:
        cluster.stop()


class Cluster:
    """A cluster, and the file with its token. What its nodes import can be shadowed by a folder."""

    def __init__(self, *, shadow: Path | None = None, mode: str = "token") -> None:
        # Not the folder of the test: the paths of sockets are bounded.
        self.folder = Path(tempfile.mkdtemp(prefix="mlp-ray-"))
        self.token_path = self.folder / "token"
        self.token_path.write_text(secrets.token_hex(32))
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = {
            **os.environ,
            "RAY_AUTH_MODE": mode,
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            "RAY_USAGE_STATS_ENABLED": "0",
            "TMPDIR": str(self.folder),
            **({"PYTHONPATH": str(shadow)} if shadow else {}),
        }

    def start(self, nodes: int) -> Cluster:
        """This cluster, with so many raylets."""
        port = self.address.rpartition(":")[2]
        head, other = (
            line.replace("10.0.0.5:6379", self.address).replace(" 6379", f" {port}") for line in documented()
        )
        self._run(f"{head} --temp-dir {self.folder / 'ray'}")
        for _ in range(nodes - 1):
            self._run(other)
        return self

    def _run(self, command: str) -> None:
        _, *arguments = shlex.split(command)
        small = ("--num-cpus", "1", "--object-store-memory", str(STORE_BYTES), "--include-log-monitor", "false")
        subprocess.run(
            [str(Path(sys.executable).with_name("ray")), *arguments, *small],
            env=self._environment,
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """This process has the cluster's token meanwhile."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_AUTH_TOKEN_PATH", str(self.token_path))
            yield

    @property
    def scoring(self) -> list[int]:
        """The processes on its nodes that have a model."""
        every = [pid for raylet in self.raylets for pid in beneath(raylet)]
        return [pid for pid in every if any("ml_pipeline." in part for part in _command(pid))]

    @property
    def working(self) -> list[int]:
        """Ray's processes on its nodes that are at a chunk."""
        every = [pid for raylet in self.raylets for pid in beneath(raylet)]
        return [pid for pid in every if _command(pid)[0].startswith("ray::score")]

    @property
    def raylets(self) -> list[int]:
        """The processes that are the nodes, the head's first."""
        return sorted(pid for pid in self._own() if _command(pid)[0].endswith("/raylet"))

    @property
    def processes(self) -> set[int]:
        """All that it consists of."""
        own = self._own()
        return {*own, *(pid for one in own for pid in beneath(one))}

    def kill_node(self, at: int) -> None:
        """A raylet and every process that it has started end at once."""
        raylet = self.raylets[at]
        for pid in [raylet, *beneath(raylet)]:
            _kill(pid)

    def stop(self) -> None:
        """Nothing of it is left."""
        for pid in self.processes:
            _kill(pid)
        wait_until(lambda: not self._own(), 20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if any(str(self.folder) in part for part in _command(pid))]


def beneath(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [*beneath(child), child]
    return found


def _command(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return [""]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
