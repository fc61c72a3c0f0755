"""Where others write to SQLite all the time, predictions and feedback look for the lock often, and give up in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from ml_pipeline.apps.predictions import gaps, writers
from ml_pipeline.apps.predictions.writers import Batch, sqlite

pytestmark = pytest.mark.django_db


class Clock:
    """Time that passes only while somebody sleeps; after so many sleeps the other writer is done."""

    def __init__(self, other: sqlite3.Connection) -> None:
        self.slept: list[float] = []
        self.until = 1_000_000
        self._other = other

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.until:
            self._other.execute("COMMIT")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a file with the tables that are written."""
    made: Any = connection.copy()
    made.settings_dict = {**connection.settings_dict, "NAME": str(tmp_path / "database")}
    made.ensure_connection()
    gaps.wait_for_nobody(made)
    for table, columns in (
        (writers.table(writers.JournalBatch), writers.BATCH_COLUMNS),
        (writers.table(writers.MLRequest), writers.ENTRY_COLUMNS),
    ):
        made.connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns.replace('id, ', '', 1)})")
    yield made
    made.connection.close()


@pytest.fixture
def clock(database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Another writer has the lock."""
    with closing(sqlite3.connect(database.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = Clock(other)
        monkeypatch.setattr(gaps, "time", SimpleNamespace(monotonic=found.monotonic, sleep=found.sleep))
        yield found


def write(database: BaseDatabaseWrapper) -> None:
    sqlite.write(database, Batch(UUID(int=1), 1, 0, "0" * 64, "2026-03-04"), [], ())
    sqlite.commit(database)


def batches(database: BaseDatabaseWrapper) -> int:
    name: Any = database.settings_dict["NAME"]
    with closing(sqlite3.connect(name)) as reader:
        return int(reader.execute(f"SELECT COUNT(*) FROM {writers.table(writers.JournalBatch)}").fetchone()[0])


def test_the_lock_is_looked_for_at_short_intervals_that_do_not_grow(
    database: BaseDatabaseWrapper, clock: Clock
) -> None:
    clock.until = 40
    gaps.patiently(database, partial(write, database))
    assert clock.slept == [gaps.LOOK_S] * 40
    assert batches(database) == 1


def test_who_must_not_wait_fails_at_once(database: BaseDatabaseWrapper, clock: Clock) -> None:
    with pytest.raises(OperationalError, match="locked"):
        write(database)
    assert clock.slept == []
    assert not database.connection.in_transaction
    assert batches(database) == 0


def test_the_patience_of_the_settings_ends(database: BaseDatabaseWrapper, clock: Clock) -> None:
    with pytest.raises(OperationalError, match="locked"):
        gaps.patiently(database, partial(write, database))
    assert sum(clock.slept) == pytest.approx(database.settings_dict["OPTIONS"]["timeout"], abs=2 * gaps.LOOK_S)
    assert batches(database) == 0


def test_what_begins_with_a_transaction_of_djangos_is_tried_again(database: BaseDatabaseWrapper, clock: Clock) -> None:
    clock.until, tried = 7, []

    def attempt() -> str:
        tried.append(len(clock.slept))
        # As `transaction.atomic` begins.
        database.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        database.commit()
        database.set_autocommit(True)
        return "done"

    assert gaps.patiently(database, attempt) == "done"
    assert tried == list(range(8))


def test_what_is_wrong_otherwise_is_not_tried_again(database: BaseDatabaseWrapper, clock: Clock) -> None:
    def attempt() -> None:
        with database.wrap_database_errors:
            database.connection.execute("SELECT * FROM nowhere")

    with pytest.raises(OperationalError, match="no such table"):
        gaps.patiently(database, attempt)
    assert clock.slept == []
