"""Rests: who writes in the background leaves others as much time for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease


def give_way(took_s: float) -> None:
    """Returns when others have had as long for writing as this one `took_s`, where only one can write at a time."""
    if connection.vendor == "sqlite":
        time.sleep(took_s)


@contextmanager
def held(lease: Lease) -> Iterator[None]:
    """As `lease.held`; others have then as long for writing as that took. Raises LeaseLost."""
    with lease.held():
        # From now on nobody else writes; the wait before that was not ours to give back.
        begun = time.monotonic()
        yield
    give_way(time.monotonic() - begun)
