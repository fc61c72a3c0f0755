"""What an attempt to deliver comes to, however it was made."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Verdict(Enum):
    """What follows from it."""

    DELIVERED = auto()
    # This one is not taken, and tried again; those after it are not held up.
    REFUSED = auto()
    # Nothing is taken there now: all that waits for the receiver goes on waiting, in its order.
    AWAY = auto()
    # The receiver said that it is there no more.
    GONE = auto()


class Outcome(NamedTuple):
    """`status` is that of HTTP or SMTP, where there was one. `error` is a sentence of ours: nothing that was sent or
    answered is in it. `retry_after_s` is what the receiver asked for."""

    verdict: Verdict
    status: int | None = None
    error: str = ""
    retry_after_s: float | None = None
