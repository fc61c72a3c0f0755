"""wrk, on its own core: how many requests a server answered, and how long each took."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data_plane import machine
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.errors import RunFailed

SCRIPT = Path(__file__).with_name("requests.lua")
MARK = "figures "
# A late answer counts as late, not as none.
TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of wrk counted; percentiles as wrk gives them, corrected for what a stalled client did not ask."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float


def write(asks: Iterable[Ask], path: Path) -> Path:
    """`path`, a file from which wrk reads `asks`."""
    path.write_text("".join(f"{ask.method}\t{ask.path}\t{ask.body}\n" for ask in asks))
    return path


def run(
    url: str, headers: dict[str, str], asks: Path, *, connections: int, seconds: int, cores: tuple[int, ...]
) -> Figures:
    """The figures of `seconds` of asking. Raises RunFailed when one request failed or was refused."""
    command = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", ",".join(map(str, cores)), machine.wrk()]
    command += ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--latency", "--timeout", f"{TIMEOUT_S}s", "--script", str(SCRIPT)]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    command += [url, "--", str(asks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        raise RunFailed(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    said = json.loads(lines[-1].removeprefix(MARK))
    if said["failed"] or not said["requests"]:
        raise RunFailed(f"{url}: {said['failed']} of {said['requests']} requests failed:\n{done.stdout}")
    rate = said["requests"] / said["duration_us"] * 1e6
    return Figures(said["requests"], rate, said["p50_us"] / 1e3, said["p99_us"] / 1e3)
