"""The pipeline: chunks scored by several child processes at once, their results in order, only so many in memory.

A child that ends, or is late, is replaced and its chunk tried again, a few times.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import child, messages
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms
from ml_pipeline.apps.ml.scoring.messages import Beginning, Order, Reply
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact, MalformedInput

# How often a chunk is tried whose process ends.
TRIES = 3
# Results that wait for one before them, a process.
AHEAD = 1
_KINDS = {kind.__name__: kind for kind in (AlgorithmFailed, InvalidArtifact, MalformedInput)}


def results(
    terms: Terms,
    path: Path,
    chunks: Iterable[tuple[Cut, bytes | None]],
    *,
    processes: int,
    allowed: Limits,
    deadline_s: float,
) -> Iterator[tuple[Cut, Scored]]:
    """Each of `chunks`, in order, with what became of it; a chunk without bytes has them in the file at `path`.

    A child is `allowed` so much, and has `deadline_s` for a chunk or for loading. Call it and iterate in one thread.
    Raises what a child raised, as AlgorithmFailed, InvalidArtifact or MalformedInput, and what `chunks` raises in
    their turn. The children end with the iteration.
    """
    run = _Run(terms, path, allowed, deadline_s)
    try:
        yield from run.results(iter(chunks), processes)
    finally:
        run.close()


class _Worker:
    """One child and what it was asked."""

    def __init__(self, terms: Terms, allowed: Limits, deadline_s: float) -> None:
        ours, theirs = socket.socketpair()
        # One that stops in the middle of a message is late as well.
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, way, _interval(deadline_s))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", child.__name__, str(theirs.fileno())],
                env=limits.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self.connection = Connection(ours.detach())
        self.order: Order | None = None
        self._deadline_s = deadline_s
        self.is_idle = False
        self.send(messages.encode(Beginning(terms, asdict(allowed), os.getpid())))

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, order: Order) -> None:
        self.order, self.is_idle = order, False
        self.send(messages.encode(order))

    def send(self, content: bytes) -> None:
        self.until = time.monotonic() + self._deadline_s
        # That it has ended is seen when its answer is read.
        with suppress(OSError):
            self.connection.send_bytes(content)

    def reply(self) -> Reply | None:
        """Its answer, or None where it ended or sent what is none."""
        try:
            return messages.reply(self.connection.recv_bytes(messages.MAX_REPLY_BYTES))
        except (EOFError, OSError, msgspec.MsgspecError):
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.connection.close()


class _Run:
    def __init__(self, terms: Terms, path: Path, allowed: Limits, deadline_s: float) -> None:
        self._terms, self._path = terms, path
        self._allowed, self._deadline_s = allowed, deadline_s
        self._workers: list[_Worker] = []
        # Of chunks whose process ended: to be tried again before others, and how often that was.
        self._again: deque[Order] = deque()
        self._lost: dict[int, int] = {}
        self._done: dict[int, tuple[Cut, Scored]] = {}

    def results(self, chunks: Iterator[tuple[Cut, bytes | None]], processes: int) -> Iterator[tuple[Cut, Scored]]:
        asked: deque[int] = deque()
        failed: Exception | None = None
        is_over = False
        self._workers = [self._worker() for _ in range(processes)]
        while asked or not is_over:
            for worker in self._workers:
                while worker.is_idle and (self._again or (not is_over and len(asked) < (1 + AHEAD) * processes)):
                    if self._again:
                        worker.ask(self._again.popleft())
                        continue
                    try:
                        cut, content = next(chunks)
                    except StopIteration:
                        is_over = True
                    # What is before it is told first.
                    except MalformedInput as error:
                        failed, is_over = error, True
                    else:
                        asked.append(cut.number)
                        worker.ask(Order(cut, str(self._path), content))
            if not is_over or len(self._done) < len(asked):
                self._wait()
            while asked and asked[0] in self._done:
                yield self._done.pop(asked.popleft())
        if failed is not None:
            raise failed

    def _wait(self) -> None:
        """Returns when something came of a child, or one was late."""
        busy = [worker for worker in self._workers if not worker.is_idle]
        if not busy:
            return
        timeout_s = max(0.0, min(worker.until for worker in busy) - time.monotonic())
        ready = set(wait([worker.connection for worker in busy], timeout_s))
        for worker in busy:
            if worker.connection in ready:
                self._take(worker, worker.reply())
            elif time.monotonic() >= worker.until:
                self._take(worker, None)

    def _take(self, worker: _Worker, reply: Reply | None) -> None:
        order, worker.order = worker.order, None
        if reply is None or (order is not None and not reply.kind and reply.scored is None):
            self._replace(worker, order)
        elif reply.kind:
            where = "" if order is None else f"{_where(order.cut)}: "
            raise _KINDS.get(reply.kind, AlgorithmFailed)(f"{where}{reply.message}")
        else:
            worker.is_idle = True
            if order is not None and reply.scored is not None:
                self._done[order.cut.number] = order.cut, reply.scored

    def _replace(self, worker: _Worker, order: Order | None) -> None:
        number = -1 if order is None else order.cut.number
        self._lost[number] = self._lost.get(number, 0) + 1
        if self._lost[number] >= TRIES:
            where = "Loading the model" if order is None else _where(order.cut)
            raise AlgorithmFailed(f"{where}: the process ended or was late {TRIES} times.")
        worker.kill()
        self._workers[self._workers.index(worker)] = self._worker()
        if order is not None:
            self._again.append(order)

    def _worker(self) -> _Worker:
        return _Worker(self._terms, self._allowed, self._deadline_s)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()


def _interval(seconds: float) -> bytes:
    # For the system no time at all is for ever.
    microseconds = max(1, round(seconds * 1e6))
    return struct.pack("@ll", *divmod(microseconds, 1_000_000))


def _where(cut: Cut) -> str:
    return f"Rows {cut.first_row:,} to {cut.first_row + cut.rows - 1:,}"
