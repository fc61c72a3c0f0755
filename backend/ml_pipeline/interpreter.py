"""Interpreter: Python's own housekeeping, kept from holding up whoever is waited for."""

from __future__ import annotations

import gc
import sys

# Objects made before the youngest are looked at, and how often older ones are: a batch makes thousands that soon go.
COLLECTION = (20_000, 20, 20)
# After how long a thread that computes lets another go on; Python's own is ten times that. Whoever writes to a database
# lets go with every statement, and while he waits to go on he holds the database's lock.
TURN_S = 0.0005


def settle() -> None:
    """What the process has by now stays: a full collection that looked at it would stop all threads for its time."""
    gc.collect()
    gc.set_threshold(*COLLECTION)
    keep()


def keep() -> None:
    """The same of what has come since, modules above all: no collection looks at it any more."""
    gc.freeze()


def take_short_turns() -> None:
    """A thread that computes holds up the others for TURN_S at a time."""
    sys.setswitchinterval(TURN_S)
