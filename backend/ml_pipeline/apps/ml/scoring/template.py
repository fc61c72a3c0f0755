"""The template of a job: it loads the model once, and forks from itself the children that score.

    python -P -m ml_pipeline.apps.ml.scoring.template FD

What children share they do not write to, so the model is in memory once. A process with threads is not forked: where a
model starts some while it is loaded, the owner has a template without it, and each child loads its own.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
from contextlib import suppress
from typing import Any

import pyarrow as pa

from ml_pipeline.apps.ml.isolation import limits, template
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.template import Template
from ml_pipeline.apps.ml.scoring import bulk, child, messages
from ml_pipeline.apps.ml.scoring.channels import Channel
from ml_pipeline.apps.ml.scoring.messages import Reply
from ml_pipeline.apps.ml.scoring.scorer import Scorer


def live(owner: socket.socket) -> None:
    """Forks a child whenever `owner` asks for one, and returns when that hangs up."""
    channel = Channel(owner, messages.MAX_ORDER_BYTES)
    begun = messages.beginning(channel.received())
    limits.apply(Limits(**begun.limits))  # type: ignore[arg-type]
    # A parent that ended before the line above would never be missed.
    if os.getppid() != begun.parent_pid:
        return
    try:
        scorer = Scorer(begun.terms) if begun.is_shared else None
    # The model may raise anything.
    except Exception as error:  # noqa: BLE001
        channel.send(messages.encode(child.told(error)))
        return
    if begun.is_shared and not template.is_alone():
        channel.send(messages.encode(Reply(None, messages.NOT_ALONE)))
        return
    _leave_out_pandas()
    # What the parser of the model had is given back; it is more than the model.
    bulk.give_back()
    template.keep_pages()
    channel.send(messages.encode(Reply()))
    owner.setblocking(True)
    Template(owner, functools.partial(child.live, terms=begun.terms, scorer=scorer)).run()


class _NoPandas:
    """Among those who find modules, one who says that there is no pandas."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ImportError(name)


def _leave_out_pandas() -> None:
    # Arrow imports it at the first value that it is given, to see whether that is one of its own: a tenth of a second
    # and 40 MB in each child. It asks once and believes the answer, until it is asked for something of pandas.
    if "pandas" not in sys.modules:
        finder: Any = _NoPandas
        sys.meta_path.insert(0, finder)
        pa.array([])
        sys.meta_path.remove(finder)


if __name__ == "__main__":
    template.settle()
    with suppress(EOFError, OSError):
        live(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
