"""Families: the template of a job, which has its model, and the children that are forked from it to score chunks."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import asdict

import msgspec

from ml_pipeline.apps.ml.isolation import processes
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.nursery import Child
from ml_pipeline.apps.ml.isolation.template import PID
from ml_pipeline.apps.ml.scoring import messages
from ml_pipeline.apps.ml.scoring.channels import BrokenMessage, Channel
from ml_pipeline.apps.ml.scoring.jobs import Terms
from ml_pipeline.apps.ml.scoring.messages import Beginning, Reply
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact, MalformedInput

# How often in a row a model is loaded that ends its process, and how often a chunk is tried that does.
TRIES = 3
_TEMPLATE = "ml_pipeline.apps.ml.scoring.template"
# What a chunk needed in large pieces goes back to the system, for each child keeps its own: a fifth less memory.
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": "3000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000",
}
_END_TIMEOUT_S = 10.0
_KINDS = {kind.__name__: kind for kind in (AlgorithmFailed, InvalidArtifact, MalformedInput)}


class Family:
    """The children of one job. The template is started with the first child, and again when it ended.

    It ends with the thread that started it, and its children with it. Needs Linux.
    """

    def __init__(self, terms: Terms, allowed: Limits, deadline_s: float) -> None:
        """`allowed` is what the template and each child may use, `deadline_s` how long loading may take."""
        self._terms, self._allowed, self._deadline_s = terms, allowed, deadline_s
        self._process: subprocess.Popen[bytes] | None = None
        # Until a model is found that starts threads.
        self._is_shared = True
        self._lost = 0

    def bear(self) -> Child:
        """A new child, which says when it has loaded. Raises what loading does, or AlgorithmFailed if none comes."""
        while True:
            try:
                if self._process is None:
                    self._start()
                return self._forked()
            except (EOFError, OSError, BrokenMessage, msgspec.MsgspecError):
                self._end(0.0)
                self._lost += 1
                check_tries("Loading the model", self._lost)

    def keep(self) -> None:
        """A child has loaded: however many templates were lost before, the model can be."""
        self._lost = 0

    def _start(self) -> None:
        self._process, self._control = processes.started(_TEMPLATE, _ENVIRONMENT)
        until = time.monotonic() + self._deadline_s
        channel = Channel(self._control, messages.MAX_ORDER_BYTES)
        channel.send(
            messages.encode(Beginning(self._terms, self._is_shared, asdict(self._allowed), os.getpid())), until
        )
        told: Reply = messages.reply(channel.received(until))
        if told.kind == messages.NOT_ALONE and self._is_shared:
            self._end(0.0)
            self._is_shared = False
            self._start()
        elif told.kind:
            raise failure(told)

    def _forked(self) -> Child:
        self._control.settimeout(self._deadline_s)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            content, (pidfd,) = self._answer()
            return Child(ours, PID.unpack(content)[0], pidfd)
        except BaseException:
            ours.close()
            raise

    def _answer(self) -> tuple[bytes, list[int]]:
        content, received, _, _ = socket.recv_fds(self._control, PID.size, 1)
        if not received:
            raise EOFError("no process was started")
        return content, received

    def _end(self, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._control.close()
        processes.end(process, timeout_s)

    def close(self) -> None:
        """The template and all children end; returns when they have."""
        self._end(_END_TIMEOUT_S)


def check_tries(what: str, lost: int) -> None:
    """Raises AlgorithmFailed where a process was lost for the last time that it may be."""
    if lost >= TRIES:
        raise AlgorithmFailed(f"{what}: the process ended or was late {TRIES} times.")


def failure(told: Reply, where: str = "") -> Exception:
    """What a process told of, as AlgorithmFailed, InvalidArtifact or MalformedInput."""
    return _KINDS.get(told.kind, AlgorithmFailed)(f"{where}{told.message}")
