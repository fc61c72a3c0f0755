"""The template: a process that has imported the numeric libraries and forks a child whenever its owner asks for one.

    python -P -m ml_pipeline.apps.ml.isolation.template FD

FD is its end of a socket pair. The owner sends one byte with the child's socket attached; the answer is the child's pid
with its pidfd attached, or 0 where there is no room for another. When the owner is gone, however it ended, so are the
template and its children. It runs no model.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ml_pipeline.apps.ml.isolation import child

PID = struct.Struct("!i")
LIBRARIES = (
    "joblib",
    "numpy",
    "onnxruntime",
    "pandas",
    "skops.io",
    "sklearn.calibration",
    "sklearn.cluster",
    "sklearn.compose",
    "sklearn.decomposition",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "ml_pipeline.apps.ml.loader",
    "ml_pipeline.apps.ml.runtimes.onnx",
    "ml_pipeline.apps.ml.runtimes.python",
    "ml_pipeline.apps.ml.runtimes.sklearn",
)
_PR_SET_CHILD_SUBREAPER = 36

logger = logging.getLogger(__name__)


class Template:
    """The process's one object: its owner's socket and the pids of its children.

    In each child `live` is called with the child's socket and the template's pid.
    """

    def __init__(self, owner: socket.socket, live: Callable[[socket.socket, int], NoReturn]) -> None:
        self._owner = owner
        self._live = live
        self._children: set[int] = set()

    def run(self) -> None:
        """Returns when the owner is gone; every child has ended by then."""
        wakeup, woken = socket.socketpair()
        for end in (wakeup, woken):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, _ignored)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._owner, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            try:
                while True:
                    ready = {key.fileobj for key, _ in selector.select()}
                    if wakeup in ready:
                        wakeup.recv(4096)
                        self._reap()
                    if self._owner in ready and not self._bear():
                        break
            finally:
                for pid in self._children:
                    _end_group(pid)
                for pid in self._children:
                    # By its number too, which is its own until it is waited for: it may have left its group.
                    with suppress(ProcessLookupError, ChildProcessError):
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)

    def _bear(self) -> bool:
        content, received, _, _ = socket.recv_fds(self._owner, 1, 1)
        if not content:
            return False
        try:
            if received:
                _check_alone()
                self._fork(received[0])
            else:
                self._refuse("there are too many open files")
        except OSError as error:
            self._refuse(error)
        finally:
            for end in received:
                os.close(end)
        return True

    def _refuse(self, why: object) -> None:
        # No room for one more is no reason to end those that are there.
        logger.error("no child can be started: %s", why)
        self._owner.sendall(PID.pack(0))

    def _fork(self, end: int) -> None:
        own = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._live(socket.socket(fileno=end), own)
        self._children.add(pid)
        # The child does the same: whoever comes first, from here on it can be ended as a group.
        with suppress(OSError):
            os.setpgid(pid, pid)
        # Only this process reaps the child, so the number means it for as long as this takes.
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            _end_group(pid)
            raise
        try:
            socket.send_fds(self._owner, [PID.pack(pid)], [pidfd])
        finally:
            os.close(pidfd)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            # Looked at first and removed after: until then its number is not given to another group.
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                pid = found.si_pid
                if pid in self._children:
                    self._children.remove(pid)
                    _end_group(pid)
                    _report(found)
                os.waitpid(pid, 0)


def main() -> None:
    """Imports the libraries and serves the owner at the other end of the descriptor in the command line."""
    # What it needs to be written is not for templates that log nothing.
    from ml_pipeline.wire import log_lines

    log = logging.StreamHandler()
    log.setFormatter(log_lines.formatter())
    logging.basicConfig(handlers=[log])
    owner = socket.socket(fileno=int(sys.argv[1]))
    settle()
    for name in LIBRARIES:
        importlib.import_module(name)
    _check_alone()
    keep_pages()
    with suppress(OSError):
        Template(owner, child.live).run()


def settle() -> None:
    """This process leaves when its owner does, and no sooner; what children leave behind is its own to reap."""
    # A stop of the whole service comes to the owner, who finishes what is under way and then leaves.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def keep_pages() -> None:
    """What is there by now stays in pages that children share: the collector would write to every object."""
    gc.collect()
    gc.freeze()


def is_alone() -> bool:
    """Whether this process has one thread: a lock that another holds at a fork stays locked in the child for ever."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


def _check_alone() -> None:
    if not is_alone():
        raise SystemExit("The template has several threads: a library started them when it was imported.")


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _report(found: os.waitid_result) -> None:
    status = found.si_status
    if found.si_code == os.CLD_EXITED and status != 0:
        logger.warning("child %s ended with code %s", found.si_pid, status)
    # Children are ended by SIGKILL when they are late or not needed any more; their owner says so.
    elif found.si_code != os.CLD_EXITED and status != signal.SIGKILL:
        logger.warning("child %s was ended by signal %s: %s", found.si_pid, status, signal.strsignal(status))


def _ignored(number: int, frame: FrameType | None) -> None:
    """Only the wake-up of the selector matters."""


if __name__ == "__main__":
    main()
