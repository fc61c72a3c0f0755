"""Gaps: the one lock of a SQLite file, found free between others who write to it.

SQLite's own waiting looks ever more rarely, after a while ten times a second: between others who write all the time it
hardly finds a gap (ADR 020). Other databases need none of this.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

# How often is looked.
LOOK_S = 0.0005


def wait_for_nobody(connection: BaseDatabaseWrapper) -> None:
    """From now on SQLite itself waits for no other writer on this open connection. Raises django.db.Error."""
    if connection.vendor == "sqlite":
        database: Any = connection.connection
        with connection.wrap_database_errors:
            database.execute("PRAGMA busy_timeout=0")


def patiently(connection: BaseDatabaseWrapper, attempt: Callable[[], T]) -> T:
    """What `attempt` gives, which begins with a transaction of `connection`, as soon as nobody else writes.

    After the connection's timeout it raises what the last attempt did.
    """
    if connection.vendor != "sqlite":
        return attempt()
    return found(attempt, connection.settings_dict["OPTIONS"]["timeout"])


def found(attempt: Callable[[], T], patience_s: float, look_s: float = LOOK_S) -> T:
    """What `attempt` gives, made again until nobody else writes, every `look_s` and for `patience_s` at most."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return attempt()
        except (OperationalError, sqlite3.OperationalError) as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
            time.sleep(look_s)


def is_busy(error: BaseException) -> bool:
    """Whether somebody else writes. Django's errors have SQLite's as their cause."""
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
