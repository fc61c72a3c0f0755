"""The pipeline: chunks scored by several child processes at once, their results in order, only so many in memory.

A child that ends, or is late, is replaced and its chunk tried again, a few times.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.nursery import Child
from ml_pipeline.apps.ml.scoring import families, messages
from ml_pipeline.apps.ml.scoring.channels import BrokenMessage, Channel
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.families import Family
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms
from ml_pipeline.apps.ml.scoring.messages import Order, Reply
from ml_pipeline.errors import MalformedInput

# Results that wait for one before them, a process.
AHEAD = 1


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

    The children are forked from a template that has loaded the model. Each process is `allowed` so much, and has
    `deadline_s` for a chunk or for loading. Call it and iterate in one thread. Raises what a child raised, as
    AlgorithmFailed, InvalidArtifact or MalformedInput, and what `chunks` raises in their turn. The processes end with
    the iteration.
    """
    run = _Run(Family(terms, allowed, deadline_s), path, deadline_s)
    try:
        yield from run.results(iter(chunks), processes)
    finally:
        run.close()


class _Worker:
    """One child and what it was asked: first of all to load."""

    def __init__(self, child: Child, deadline_s: float, lost: int = 0) -> None:
        """`lost` is how many before it, each in place of the last, ended before they had loaded."""
        self.lost = lost
        self._child = child
        self.channel = Channel(child.socket, messages.MAX_REPLY_BYTES)
        self.order: Order | None = None
        self._deadline_s = deadline_s
        self.is_idle = False
        self.until = time.monotonic() + deadline_s

    def ask(self, order: Order) -> None:
        self.order, self.is_idle = order, False
        self.until = time.monotonic() + self._deadline_s
        # That it has ended is seen when its answer is read.
        with suppress(OSError):
            self.channel.tell(messages.encode(order))

    @property
    def wanted(self) -> int:
        """The events of its socket that it waits for."""
        return select.POLLIN | (select.POLLOUT if self.channel.is_behind else 0)

    def reply(self) -> Reply | None:
        """Its answer, or None where it is not whole yet. Raises EOFError where it ended or sent what is none."""
        try:
            self.channel.flush()
            content = self.channel.heard()
            reply = None if content is None else messages.reply(content)
        except (OSError, BrokenMessage, msgspec.MsgspecError):
            raise EOFError from None
        if reply is not None and self.order is not None and not reply.kind and reply.scored is None:
            raise EOFError
        return reply

    def kill(self) -> None:
        self._child.kill()


class _Run:
    def __init__(self, family: Family, path: Path, deadline_s: float) -> None:
        self._family, self._path, self._deadline_s = family, path, deadline_s
        self._workers: list[_Worker] = []
        # Of chunks whose process ended: to be tried again before others, and how often that was.
        self._again: deque[Order] = deque()
        self._lost: dict[int, int] = {}
        self._done: dict[int, tuple[Cut, Scored]] = {}

    def results(self, chunks: Iterator[tuple[Cut, bytes | None]], processes: int) -> Iterator[tuple[Cut, Scored]]:
        asked: deque[int] = deque()
        failed: Exception | None = None
        is_over = False
        for _ in range(processes):
            self._workers.append(_Worker(self._family.bear(), self._deadline_s))
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
        poll = select.poll()
        for worker in busy:
            poll.register(worker.channel, worker.wanted)
        timeout_s = max(0.0, min(worker.until for worker in busy) - time.monotonic())
        ready = {number for number, _ in poll.poll(math.ceil(timeout_s * 1_000))}
        for worker in busy:
            try:
                reply = worker.reply() if worker.channel.fileno() in ready else None
            except EOFError:
                self._replace(worker)
                continue
            if reply is not None:
                self._take(worker, reply)
            # One that stops in the middle of a message is late as well.
            elif time.monotonic() >= worker.until:
                self._replace(worker)

    def _take(self, worker: _Worker, reply: Reply) -> None:
        order, worker.order = worker.order, None
        if reply.kind:
            raise families.failure(reply, "" if order is None else f"{_where(order.cut)}: ")
        worker.is_idle = True
        if order is None:
            self._family.keep()
        elif reply.scored is not None:
            self._lost.pop(order.cut.number, None)
            self._done[order.cut.number] = order.cut, reply.scored

    def _replace(self, worker: _Worker) -> None:
        worker.kill()
        order, lost = worker.order, 0
        if order is None:
            lost = worker.lost + 1
            families.check_tries("Loading the model", lost)
        else:
            number = order.cut.number
            self._lost[number] = self._lost.get(number, 0) + 1
            families.check_tries(_where(order.cut), self._lost[number])
            self._again.append(order)
        self._workers[self._workers.index(worker)] = _Worker(self._family.bear(), self._deadline_s, lost)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._family.close()


def _where(cut: Cut) -> str:
    return f"Rows {cut.first_row:,} to {cut.first_row + cut.rows - 1:,}"
