"""The machine: its cores, what its disk needs to make a write durable, what else a reader must know."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.data_plane.errors import RunFailed

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = Path(sys.executable)
LIBRARIES = ("uvicorn", "uvloop", "httptools", "fastapi", "django", "djangorestframework", "gunicorn")
MODELS = ("onnxruntime", "scikit-learn", "numpy", "pandas")
WRITE_BYTES, WRITES = 8_192, 200


def wrk() -> str:
    """The path of wrk. Raises RunFailed where it is not installed."""
    found = shutil.which("wrk")
    if found is None:
        raise RunFailed("The benchmark needs wrk. Debian and Ubuntu: apt install wrk")
    return found


def cores() -> tuple[int, ...]:
    """The cores that this process may use. Raises RunFailed for a single one."""
    found = tuple(sorted(os.sched_getaffinity(0)))
    if len(found) < 2:
        raise RunFailed("The benchmark needs two cores: one for the server, one for those who ask.")
    return found


def facts(client: int, server: int) -> dict[str, Any]:
    """What the figures depend on, for the report."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "cores_share_hardware": client in _siblings(server),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in (*LIBRARIES, *MODELS)},
        "commit": commit.stdout.strip() or None,
    }


def busy_s(cores: Sequence[int]) -> float:
    """Seconds for which `cores` have done anything, or were taken away by a hypervisor, since the machine started."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in {f"cpu{core}" for core in cores}:
            # user nice system idle iowait irq softirq steal
            ticks += sum(int(fields[place]) for place in (0, 1, 2, 5, 6, 7))
    return ticks / os.sysconf("SC_CLK_TCK")


def fdatasync_us(folder: Path) -> dict[str, float]:
    """Median microseconds to write 8 kB in `folder` and wait for the disk: as a file grows, and over what is there.

    A write-ahead log grows at first and is then written over, again and again.
    """
    path = folder / "fdatasync"
    block = os.urandom(WRITE_BYTES)
    try:
        with path.open("wb", buffering=0) as file:
            growing = [_written_us(file.fileno(), block) for _ in range(WRITES)]
            file.seek(0)
            over = [_written_us(file.fileno(), block) for _ in range(WRITES)]
    finally:
        path.unlink(missing_ok=True)
    return {"growing": statistics.median(growing), "overwriting": statistics.median(over)}


def _written_us(descriptor: int, block: bytes) -> float:
    begun = time.perf_counter()
    os.write(descriptor, block)
    os.fdatasync(descriptor)
    return (time.perf_counter() - begun) * 1e6


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _siblings(core: int) -> set[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
