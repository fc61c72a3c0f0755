"""Processes as the kernel shows them: who is there since when, and what it uses. Nothing of it on other systems."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Usage(NamedTuple):
    """What a process uses: processor seconds since it began, bytes in memory, open descriptors and how many it may."""

    cpu_s: float
    memory_bytes: int
    descriptors: int
    max_descriptors: float
    threads: int
    started_at: float


def start_of(pid: int) -> str:
    """When the process began, in ticks since the machine did; empty where there is none, or nothing tells."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def leaders() -> tuple[tuple[int, str], ...]:
    """Pid and start of whoever leads this process's group: itself, or what started it and will start others."""
    group = os.getpgid(0)
    start = start_of(group) if group > 0 else ""
    return ((group, start),) if start else ()


def is_there(leader: tuple[int, str]) -> bool:
    """Whether that very process lives; one that is dead and was not waited for does not."""
    fields = _stat(leader[0])
    return bool(fields) and fields[19] == leader[1] and fields[0] not in ("Z", "X")


def usage(pid: int) -> Usage | None:
    """What the process `pid` uses; None where it is gone or nobody tells."""
    fields = _stat(pid)
    if not fields:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    try:
        descriptors = sum(1 for _ in (PROC / str(pid) / "fd").iterdir())
        limits = (PROC / str(pid) / "limits").read_text(encoding="utf-8")
    except OSError:
        return None
    limit = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / tick,
        memory_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        descriptors=descriptors,
        max_descriptors=float("inf") if limit == "unlimited" else float(limit),
        threads=int(fields[17]),
        started_at=_booted_at() + int(fields[19]) / tick,
    )


def _stat(pid: int) -> list[str]:
    # From the third field on, as proc(5) counts: the second is the program's name, which may hold anything.
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _booted_at() -> float:
    try:
        text = (PROC / "stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith("btime ")), 0.0)
