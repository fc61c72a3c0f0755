"""The engine on a Ray cluster: chunks as Ray's tasks, by way of a process of its own (see `driver`).

When that process ends, because the node that it talks to was lost, another one takes its place and is asked for the
chunks that are open. Chunks give the same however often they are scored.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from ml_pipeline.apps.batches.engines import driver, messages, versions
from ml_pipeline.apps.batches.engines.messages import Beginning, Job, Standing
from ml_pipeline.apps.ml.isolation import processes
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import messages as chunks
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms
from ml_pipeline.apps.ml.scoring.messages import Order, Reply
from ml_pipeline.errors import AlgorithmFailed, ClusterUnavailable, InvalidArtifact, MalformedInput

# For a process to be connected to a cluster that answers.
CONNECTED_S = 30.0
# A cluster that has lost a node says for a while that it is still there.
RECONNECTED_S, PAUSE_S = 60.0, 1.0
# Of ours, what Ray reads to reach a cluster.
PASSED = (
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_USE_TLS",
    "RAY_TLS_SERVER_CERT",
    "RAY_TLS_SERVER_KEY",
    "RAY_TLS_CA_CERT",
)
# Nothing is sent without a token, or to Ray's makers. A refusal is one after the third time, and a node of this machine
# is looked for for ten seconds.
FIXED = {
    versions.TOKENS: "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_REdriver.TRIES": "3",
    "RAY_gcs_server_request_timeout_seconds": "10",
}
_KINDS = {kind.__name__: kind for kind in (AlgorithmFailed, ClusterUnavailable, InvalidArtifact, MalformedInput)}


def results(
    terms: Terms,
    path: Path,
    chunks: Iterable[tuple[Cut, bytes | None]],
    *,
    address: str,
    allowed: Limits,
    deadline_s: float,
) -> Iterator[tuple[Cut, Scored]]:
    """As `engine.Engine` says, on the cluster at `address`."""
    expected = {**versions.found(), versions.TOKENS: FIXED[versions.TOKENS]}
    run = _Run(Beginning(address, Job(terms, asdict(allowed), deadline_s, expected)), path)
    try:
        yield from run.results(iter(chunks))
    finally:
        run.close()


class _Driver:
    """The process, connected. Raises ClusterUnavailable and InvalidArtifact where it cannot be."""

    def __init__(self, begin: Beginning) -> None:
        # Longer than a node takes to give up.
        self._patience_s = (driver.TRIES + 1) * begin.job.deadline_s + CONNECTED_S
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        self._process, ours = processes.started(driver.__name__, {**passed, **FIXED})
        # One that stops in the middle of a message is silent as well.
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, way, struct.pack("@ll", int(self._patience_s), 0))
        self._connection = Connection(ours.detach())
        try:
            self._send(messages.encode(begin))
            self.room = self._standing().room
        except BaseException:
            self.kill()
            raise

    def ask(self, order: Order) -> None:
        self._send(chunks.encode(order))

    def reply(self) -> Reply | None:
        """The answer to the first question that has none; None where the process has ended or is silent."""
        content = self._received(self._patience_s)
        return None if content is None else chunks.reply(content)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _standing(self) -> Standing:
        content = self._received(CONNECTED_S)
        if content is None:
            raise ClusterUnavailable("The Ray cluster does not answer.")
        standing = messages.standing(content)
        if standing.kind:
            raise _KINDS.get(standing.kind, ClusterUnavailable)(standing.message)
        return standing

    def _send(self, content: bytes) -> None:
        # That it has ended is seen when its answer is read.
        with suppress(OSError):
            self._connection.send_bytes(content)

    def _received(self, timeout_s: float) -> bytes | None:
        try:
            return self._connection.recv_bytes(chunks.MAX_REPLY_BYTES) if self._connection.poll(timeout_s) else None
        except (EOFError, OSError):
            return None


class _Run:
    def __init__(self, begin: Beginning, path: Path) -> None:
        self._begin, self._path = begin, path
        self._driver: _Driver | None = None
        # What the driver was asked, oldest first; and how often one was lost since there was a result.
        self._asked: deque[Order] = deque()
        self._lost = 0

    def results(self, given: Iterator[tuple[Cut, bytes | None]]) -> Iterator[tuple[Cut, Scored]]:
        failed: MalformedInput | None = None
        is_over = False
        self._driver = _Driver(self._begin)
        while self._asked or not is_over:
            while not is_over and len(self._asked) < self._driver.room:
                try:
                    cut, content = next(given)
                except StopIteration:
                    is_over = True
                # What is before it is told first.
                except MalformedInput as error:
                    failed, is_over = error, True
                else:
                    self._asked.append(Order(cut, str(self._path), content))
                    self._driver.ask(self._asked[-1])
            if self._asked:
                yield from self._answered(self._driver.reply())
        if failed is not None:
            raise failed

    def _answered(self, reply: Reply | None) -> Iterator[tuple[Cut, Scored]]:
        if reply is None:
            self._replace()
        elif reply.kind or reply.scored is None:
            raise _KINDS.get(reply.kind, AlgorithmFailed)(reply.message)
        else:
            self._lost = 0
            yield self._asked.popleft().cut, reply.scored

    def _replace(self) -> None:
        """Another driver, which is asked what the one before was asked."""
        self.close()
        self._lost += 1
        if self._lost >= driver.TRIES:
            raise ClusterUnavailable(f"The connection to the Ray cluster was lost {driver.TRIES} times.")
        until = time.monotonic() + RECONNECTED_S
        while self._driver is None:
            try:
                self._driver = _Driver(self._begin)
            except ClusterUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(PAUSE_S)
        for order in self._asked:
            self._driver.ask(order)

    def close(self) -> None:
        if self._driver is not None:
            self._driver.kill()
            self._driver = None
