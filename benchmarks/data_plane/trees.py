"""A process with all that it has started: the processor time and memory it takes, the cores it runs on."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


class Tree:
    """The process `pid` and its descendants, as they are when asked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """The process first, then children before grandchildren."""
        found = [self.pid]
        for pid in found:
            found += _children(pid)
        return found

    def cpu_s(self) -> float:
        """Seconds of processor time, user and system, of those that live and of their children that have ended."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                # After the name, which may hold anything: fields 14 to 17 of `man proc_pid_stat`.
                fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
                total += sum(int(field) for field in fields[11:15])
        return total / TICKS_A_SECOND

    def memory_bytes(self) -> int:
        """Proportional set size: what several processes share is counted once."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                text = (PROC / str(pid) / "smaps_rollup").read_text()
                match = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
                total += int(match[1]) * 1024 if match else 0
        return total

    def pin(self, cores: Sequence[int]) -> None:
        """All its threads run on `cores` alone, and so does what they start later."""
        for pid in self.pids():
            for task in _tasks(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task.name), cores)

    def signal(self, number: int) -> None:
        """`number` to each of its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Process:
    """A started program that ends with this one. `user` is who it runs as, where this process may choose."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: Sequence[int],
        environment: dict[str, str],
        folder: Path,
        log: Path,
        user: str | None = None,
    ) -> None:
        pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *pinned],
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=output,
                **account(user),
                start_new_session=True,
            )
        self.tree = Tree(self._process.pid)

    @property
    def has_ended(self) -> bool:
        """Whether it is over, well or not."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:]

    def pause(self) -> None:
        """It and all that it started do nothing until `resume`."""
        self.tree.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self.tree.signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Told to end by `number`, then made to; returns when it is over."""
        if self.has_ended:
            return
        self.resume()
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.tree.signal(signal.SIGKILL)
            self._process.wait()


def account(user: str | None) -> dict[str, Any]:
    """What subprocess takes to run a program as `user`, in no other group; nothing for None."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _tasks(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (PROC / str(pid) / "task").iterdir()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found
