"""The child: one process of a job, forked from its template, which scores chunks until nobody asks any more."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NoReturn

from ml_pipeline.apps.ml.isolation import child, limits
from ml_pipeline.apps.ml.scoring import cuts, messages
from ml_pipeline.apps.ml.scoring.channels import Channel
from ml_pipeline.apps.ml.scoring.jobs import Terms
from ml_pipeline.apps.ml.scoring.messages import Order, Reply
from ml_pipeline.apps.ml.scoring.scorer import Scorer
from ml_pipeline.errors import MLPipelineError


def live(owner: socket.socket, parent_pid: int, *, terms: Terms, scorer: Scorer | None) -> NoReturn:
    """Scores what `owner` asks, and ends this process; never returns. Without a `scorer` it loads its own."""
    code = 1
    try:
        child.leave_home(owner)
        # The template's limits are its own already.
        limits.end_with_parent()
        # A template that ended before the line above would never be missed.
        if os.getppid() == parent_pid:
            _serve(Channel(owner, messages.MAX_ORDER_BYTES), terms, scorer)
    except (EOFError, ConnectionError):
        code = 0
    finally:
        # Nothing of the template's may run at the end: its handlers, its buffers.
        os._exit(code)


def _serve(owner: Channel, terms: Terms, scorer: Scorer | None) -> None:
    try:
        scorer = scorer or Scorer(terms)
    # The model may raise anything.
    except Exception as error:  # noqa: BLE001
        owner.send(messages.encode(told(error)))
        return
    owner.send(messages.encode(Reply()))
    while True:
        owner.send(messages.encode(_scored(scorer, messages.order(owner.received()))))


def _scored(scorer: Scorer, order: Order) -> Reply:
    try:
        content = cuts.content(Path(order.path), order.cut) if order.content is None else order.content
        return Reply(scorer.score(content, order.cut))
    except Exception as error:  # noqa: BLE001
        return told(error)


def told(error: Exception) -> Reply:
    """The message that tells of the error."""
    kind = type(error).__name__
    return Reply(None, kind, error.message if isinstance(error, MLPipelineError) else f"{kind}: {error}"[:500])
