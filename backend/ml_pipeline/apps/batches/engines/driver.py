"""The driver: a process between a job and a Ray cluster, which hands chunks on as tasks and results back in order.

Ray lives here and not in the worker that does jobs: it brings threads and handlers of signals along, and ends the
process that it is in when it has lost its cluster.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ml_pipeline.apps.batches.engines import messages, node
from ml_pipeline.apps.batches.engines.messages import Beginning, Standing
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import cuts
from ml_pipeline.apps.ml.scoring import messages as chunks
from ml_pipeline.apps.ml.scoring.messages import Reply
from ml_pipeline.errors import ClusterUnavailable, MLPipelineError

# How often a chunk is tried whose process or node ends.
TRIES = 3
# For a connection and nothing more.
ANSWER_S = 5.0
# Chunks that the cluster has, for each of its processors, and altogether: what is not fetched yet lies in its memory.
AHEAD, MOST = 2, 512


def live(owner: Connection) -> None:
    """Hands on what `owner` asks until that hangs up."""
    begun = messages.beginning(owner.recv_bytes())
    try:
        ray = _connected(begun.address)
        ask = _asker(ray, begun)
    except MLPipelineError as error:
        owner.send_bytes(messages.encode(Standing(0, type(error).__name__, error.message)))
        return
    room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0)))
    owner.send_bytes(messages.encode(Standing(min(MOST, room))))
    asked: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_answer, args=(ray, owner, asked), daemon=True).start()
    while True:
        order = chunks.order(owner.recv_bytes())
        content = cuts.content(Path(order.path), order.cut) if order.content is None else order.content
        asked.put(ask(messages.encode(order.cut), content))


def _connected(address: str) -> Any:
    """Ray, connected. Raises ClusterUnavailable."""
    try:
        import ray
    except ImportError:
        raise ClusterUnavailable("Ray is not installed here: pip install 'ml-pipeline[server,ray]'.") from None
    # Ray would ask for minutes.
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError:
        raise ClusterUnavailable("The Ray cluster does not answer.") from None
    try:
        ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
    # Of whatever kind Ray has for it.
    except Exception as error:  # noqa: BLE001
        raise ClusterUnavailable(_told(f"{error} {error.__cause__}")) from None
    return ray


def _told(text: str) -> str:
    if "InvalidAuthToken" in text:
        return "The Ray cluster refuses the token of this machine."
    if "no authentication token" in text:
        return "This machine has no token for the Ray cluster: RAY_AUTH_TOKEN_PATH names a file with one."
    if "Version mismatch" in text:
        return "The Ray cluster runs another version of Ray, or of Python, than this machine."
    return "This machine cannot join the Ray cluster: a node of it has to run here."


def _asker(ray: Any, begun: Beginning) -> Callable[[bytes, bytes], Any]:
    """Makes a chunk a task of the cluster. Raises InvalidArtifact."""
    terms = begun.job.terms
    # In a list it is fetched by those that ask for it, once on each node, and not with every task.
    held = [ray.put(node.packed(Bundle(Path(terms.folder), terms.digest)))]
    job = messages.encode(begun.job)
    # It is tried again where its process or its node ends, not where it raises.
    task = ray.remote(num_cpus=1, max_retries=TRIES - 1, scheduling_strategy="SPREAD")(node.score)
    return lambda cut, content: task.remote(job, held, cut, content)


def _answer(ray: Any, owner: Connection, asked: SimpleQueue[Any]) -> None:
    """Hands results back in the order in which they were asked for; what lies in the cluster is freed as it goes."""
    try:
        while True:
            owner.send_bytes(_result(ray, asked.get()))
    finally:
        # Whoever asked is gone, or will ask another process.
        os._exit(1)


def _result(ray: Any, reference: Any) -> bytes:
    try:
        return bytes(ray.get(reference))
    # Another driver, which talks to another node, may have more luck.
    except (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError):
        raise
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        # Of its text no more: paths of other machines are in it.
        message = f"A node of the Ray cluster failed: {getattr(cause, 'strerror', None) or type(cause).__name__}."
        if "failed to import" in str(cause):
            message = "A node of the Ray cluster has no ml_pipeline: pip install 'ml-pipeline[server,ray]' there."
    except ray.exceptions.RayError as error:
        message = f"The Ray cluster lost a chunk {TRIES} times: {type(error).__name__}."
    return chunks.encode(Reply(None, ClusterUnavailable.__name__, message))


if __name__ == "__main__":
    try:
        live(Connection(int(sys.argv[1])))
    except (EOFError, ConnectionError):
        os._exit(0)
    finally:
        # Whatever Ray would do at the end of a process, nobody waits for it.
        os._exit(1)
