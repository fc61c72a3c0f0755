"""The worker beside a server: a process of its own that starts and ends with it, and comes again where it dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

# Between the end of a worker and the start of the next.
PAUSE_S = 1.0
# How long its steps under way may take once it was told to stop.
END_S = 10.0


@contextmanager
def worker() -> Iterator[None]:
    """A worker does the background work while the block runs."""
    stopped = threading.Event()
    keeper = threading.Thread(target=_keep, args=(stopped,), name="worker")
    keeper.start()
    try:
        yield
    finally:
        stopped.set()
        keeper.join()


def _keep(stopped: threading.Event) -> None:
    command = [sys.executable, "-m", "django", "worker", "--beside", str(os.getpid())]
    while not stopped.is_set():
        # Ctrl-C is for whoever is asked by the terminal; it is told by us.
        try:
            process = subprocess.Popen(command, process_group=0)
        except OSError as error:
            logger.error("no worker can be started, trying again: %s", error)
            stopped.wait(PAUSE_S)
            continue
        while process.poll() is None and not stopped.wait(PAUSE_S):
            pass
        if not stopped.is_set():
            logger.error("the worker ended with the code %d; another one starts", process.returncode)
            stopped.wait(PAUSE_S)
            continue
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            logger.error("the worker does not end; it is killed, and another one will go on with its jobs")
            process.kill()
            process.wait()
