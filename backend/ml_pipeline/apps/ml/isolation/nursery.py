"""The nursery: the serving process's side of its template. From it children come, each a process with one algorithm."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from ml_pipeline.apps.ml.isolation import frames, processes, template
from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.errors import AlgorithmNotReady

# The template imports for some seconds, and for more on a machine that is busy.
BIRTH_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


class Child:
    """A handle to one child: the socket over which it is asked, and what is needed to end it."""

    def __init__(self, peer: socket.socket, pid: int, pidfd: int) -> None:
        self.socket = peer
        self.pid = pid
        self._pidfd = pidfd

    def kill(self) -> None:
        """The child ends, whatever it is doing; the template reaps it. The handle is of no more use."""
        # The descriptor means this process and no other, even when its number is given anew.
        with suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self.forget()

    def forget(self) -> None:
        """This process's descriptors are closed; the child lives as long as anybody else holds its socket."""
        self.socket.close()
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            os.close(pidfd)

    def memory_bytes(self) -> int:
        """What of the child is in memory now, shared pages included; 0 when it has ended."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0


class Nursery:
    """Children of one template, started with the first child and again when it died. Thread-safe. Needs Linux.

    After a fork the new process has a template of its own.
    """

    def __init__(self, allowed: Limits) -> None:
        """`allowed` is what each child may use."""
        self._allowed = allowed
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        if self._process is not None:
            # The template is another's child: it must not be waited for, nor held by a copy of its socket.
            self._process.returncode = 0
            self._control.close()
            self._process = None

    def prepare(self) -> None:
        """The template is started, if it was not yet; nobody waits for its imports."""
        with self._lock:
            if self._process is None and not self._is_closed:
                self._start()

    def spawn(self, loading: Loading) -> Child:
        """A child that loads `loading`; it says over its socket how that went.

        Raises AlgorithmNotReady when no process can be started.
        """
        orders = {"limits": asdict(self._allowed), "loading": asdict(loading)}
        try:
            child = self._born()
            try:
                frames.send(child.socket, frames.encoded(orders), time.monotonic() + BIRTH_TIMEOUT_S)
            except BaseException:
                child.kill()
                raise
        except (OSError, EOFError) as error:
            raise AlgorithmNotReady("No process can be started for the algorithm.") from error
        return child

    def _born(self) -> Child:
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                return Child(ours, *self._forked(theirs))
            except BaseException:
                ours.close()
                raise

    def _forked(self, theirs: socket.socket) -> tuple[int, int]:
        if self._is_closed:
            raise AlgorithmNotReady("No process is started any more: this server is stopping.")
        if self._process is not None:
            try:
                return self._asked(theirs)
            except (OSError, EOFError):
                # It has died, perhaps long ago.
                logger.warning("the template ended; it is started again")
        self._start()
        return self._asked(theirs)

    def _asked(self, theirs: socket.socket) -> tuple[int, int]:
        try:
            socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            content, received, _, _ = socket.recv_fds(self._control, template.PID.size, 1)
        except BaseException:
            self._end()
            raise
        if received:
            return template.PID.unpack(content)[0], received[0]
        if content:
            raise AlgorithmNotReady("The system starts no more processes at the moment.")
        self._end()
        raise EOFError("the template ended")

    def _start(self) -> None:
        self._process, self._control = processes.started(template.__name__, is_heard=True)
        self._control.settimeout(BIRTH_TIMEOUT_S)

    def _end(self, timeout_s: float = 0.0) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._control.close()
        processes.end(process, timeout_s)

    def close(self) -> None:
        """The template and all of its children end; returns when the template has. No child comes any more."""
        with self._lock:
            self._is_closed = True
            self._end(END_TIMEOUT_S)
