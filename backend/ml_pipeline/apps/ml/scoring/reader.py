"""The reader: one process that decodes one Parquet file, under limits, and sends what its owner asked for.

    python -P -m ml_pipeline.apps.ml.scoring.reader FD

It sends chunk after chunk; while nobody takes them it waits, with one in memory.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import groups, messages
from ml_pipeline.apps.ml.scoring.channels import Channel
from ml_pipeline.apps.ml.scoring.messages import Outline, Piece, Reading, Refusal
from ml_pipeline.errors import MalformedInput

# Of what the owner asks.
_MAX_BYTES = 100_000
_TOO_LARGE = "To read the file takes more than {:,} bytes at once: write it in smaller row groups, or pages."


def live(owner: Channel) -> None:
    """Sends what `owner` asks for, and returns."""
    asked = messages.reading(owner.received())
    limits.apply(Limits(**asked.limits))  # type: ignore[arg-type]
    # A parent that ended before the line above would never be missed.
    if os.getppid() != asked.parent_pid:
        return
    try:
        for part in _parts(asked):
            owner.send(messages.encode(part))
    except MalformedInput as error:
        owner.send(messages.encode(Refusal(error.message)))
    except MemoryError:
        owner.send(messages.encode(Refusal(_TOO_LARGE.format(asked.limits["memory_bytes"]))))


def _parts(asked: Reading) -> Iterator[Outline | Piece]:
    file = groups.opened(Path(asked.path))
    about = groups.outline(file, asked.rows)
    yield about
    if asked.after is not None:
        for content in groups.contents(file, about, asked.after):
            yield Piece(content)


if __name__ == "__main__":
    # A stop of the whole service comes to the owner, who ends this process.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    try:
        live(Channel(socket.socket(fileno=int(sys.argv[1])), _MAX_BYTES))
    except (EOFError, ConnectionError):
        os._exit(0)
