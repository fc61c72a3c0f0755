"""The child: one process of a job, which scores chunk after chunk until nobody asks any more."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import bulk, cuts, messages
from ml_pipeline.apps.ml.scoring.messages import Order, Reply
from ml_pipeline.apps.ml.scoring.scorer import Scorer
from ml_pipeline.errors import MLPipelineError


def live(owner: Connection) -> None:
    """Scores what `owner` asks until that hangs up."""
    begun = messages.beginning(owner.recv_bytes())
    limits.apply(Limits(**begun.limits))  # type: ignore[arg-type]
    # A parent that ended before the line above would never be missed.
    if os.getppid() != begun.parent_pid:
        return
    try:
        scorer = Scorer(begun.terms)
    # The model may raise anything.
    except Exception as error:  # noqa: BLE001
        owner.send_bytes(messages.encode(_told(error)))
        return
    # What the parser of the model had is given back; it is more than the model.
    bulk.give_back()
    owner.send_bytes(messages.encode(Reply()))
    while True:
        owner.send_bytes(messages.encode(_scored(scorer, messages.order(owner.recv_bytes()))))


def _scored(scorer: Scorer, order: Order) -> Reply:
    try:
        content = cuts.content(Path(order.path), order.cut) if order.content is None else order.content
        return Reply(scorer.score(content, order.cut))
    except Exception as error:  # noqa: BLE001
        return _told(error)


def _told(error: Exception) -> Reply:
    kind = type(error).__name__
    return Reply(None, kind, error.message if isinstance(error, MLPipelineError) else f"{kind}: {error}"[:500])


if __name__ == "__main__":
    try:
        live(Connection(int(sys.argv[1])))
    except (EOFError, ConnectionError):
        os._exit(0)
