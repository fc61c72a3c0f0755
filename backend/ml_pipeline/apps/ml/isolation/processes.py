"""Processes: modules of ours that run by themselves, each asked over a socket by whoever started it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from ml_pipeline.apps.ml.isolation import limits


def started(
    module: str, environment: Mapping[str, str] | None = None, *, is_heard: bool = False
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process of `module` and our end of its socket, whose descriptor its command line has.

    `environment` comes to that of all children. What it writes as errors is for our own log where it `is_heard`.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(
                # Nothing is imported from the folder where the server happens to stand.
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                env={**limits.environment(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if is_heard else subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the server, which finishes what is under way.
                process_group=0,
            )
    except BaseException:
        ours.close()
        raise
    return process, ours


def end(process: subprocess.Popen[bytes], timeout_s: float = 0.0) -> None:
    """The process has ended: by itself within that time, or it was killed."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout_s)
        return
    process.kill()
    process.wait()
