"""Limits: what a child process may use. It sets them on itself before it touches a model, and cannot lift them.

Written for Linux. Elsewhere the rlimits and the niceness hold as far as the platform has them; the rest is skipped.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ALLOWED = frozenset(
    {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "VIRTUAL_ENV"},
)
# OpenBLAS is told by its own variables which processor it runs on, where it would guess wrong.
ALLOWED_PREFIXES = ("LC_", "OPENBLAS_")
# One thread: more would be gone after a fork, and children stand beside each other already. ONNX Runtime (for its
# telemetry) and Arrow's allocator start threads when they are imported unless they are told not to.
FIXED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
# <linux/prctl.h> and <linux/sched.h>
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use from its start on.

    `memory_bytes` is address space on top of what the process has when the limits are set, for libraries alone map
    gigabytes; `cpu_s` is processor time from then on, None for any; `file_bytes` is the size of any file it writes;
    `nice` is added to its niceness.
    """

    memory_bytes: int
    cpu_s: int | None
    file_bytes: int
    nice: int


def apply(limits: Limits) -> None:
    """This process is held to `limits`, leaves no core file, gains no privileges and dies with its parent.

    The parent is the thread that started this process: Linux ends the child when that thread ends.
    """
    _limit(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    if limits.cpu_s is not None:
        until_s = math.ceil(time.process_time()) + limits.cpu_s
        # SIGXCPU comes first and says what it was; SIGKILL follows for whoever ignores it.
        _limit(resource.RLIMIT_CPU, until_s, until_s + 1)
    os.nice(limits.nice)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _demand(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    end_with_parent()


def end_with_parent() -> None:
    """This process dies with its parent, as `apply` has it. A fork has its parent's limits, but not this."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _demand(libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))


def deny_network() -> bool:
    """Whether this process has no network from now on: the system may not allow that. Call it with a single thread."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # Root in a container often lacks the right to the first; the second needs none, where the kernel lets everyone.
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def environment() -> dict[str, str]:
    """The variables a child gets: a few of this process's, never a secret, and one thread for each numeric library."""
    kept = {name: value for name, value in os.environ.items() if name in ALLOWED or name.startswith(ALLOWED_PREFIXES)}
    return {**kept, **FIXED}


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    # What is stricter already stays: nobody but root could raise it.
    _, present = resource.getrlimit(kind)
    most = sys.maxsize if present == resource.RLIM_INFINITY else present
    resource.setrlimit(kind, (min(soft, most), min(soft if hard is None else hard, most)))


def _address_space_bytes() -> int:
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _demand(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "a limit cannot be set")
