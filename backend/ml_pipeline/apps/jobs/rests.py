"""Rests: who writes in the background leaves others as much time for it."""

from __future__ import annotations

import time

from django.db import connection


def give_way(took_s: float) -> None:
    """Returns when others have had as long for writing as this one `took_s`, where only one can write at a time."""
    if connection.vendor == "sqlite":
        time.sleep(took_s)
