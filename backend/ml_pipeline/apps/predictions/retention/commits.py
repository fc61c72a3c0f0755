"""Commits beside a serving process: few rows each, then a rest, so that others have their turn.

SQLite has one writer. And what is deleted there must be overwritten, not only marked as free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, transaction

T = TypeVar("T")

# Rows of one commit.
MOST_ROWS = 200


def overwrite_what_goes() -> None:
    """From now on SQLite overwrites what this connection takes out of the database."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete=ON")


@contextmanager
def resting(rest: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """The block is one transaction; on SQLite `rest` is then called with as many seconds as it took."""
    begun = time.monotonic()
    with transaction.atomic():
        yield
    if connection.vendor == "sqlite":
        rest(time.monotonic() - begun)


def parts(rows: Sequence[T], most: int = MOST_ROWS) -> Iterator[Sequence[T]]:
    """`rows` in parts of one commit."""
    for begin in range(0, len(rows), most):
        yield rows[begin : begin + most]
