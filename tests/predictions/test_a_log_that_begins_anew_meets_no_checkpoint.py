"""SQLite's fault: a checkpoint with nothing left to copy meets a writer that starts the log anew, and pages are lost.

The first test makes it happen on the SQLite that is linked; the others show that no checkpoint of ours can meet it.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import log_faults
import pytest

from ml_pipeline.apps.predictions.checkpoints import Log

ROWS = 40


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with an index, so that a lost page is found: all of it is copied, and the log may begin anew."""
    path = tmp_path / "a database.sqlite3"
    with closing(log_faults.writer(path)) as connection:
        connection.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t (b);")
        connection.executemany("INSERT INTO t VALUES (?, randomblob(600))", [(row,) for row in range(ROWS)])
    return path


@pytest.fixture
def writer(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(log_faults.writer(database)) as connection:
        connection.execute("UPDATE t SET b = randomblob(600)")
        yield connection


def faults(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        try:
            return [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        except sqlite3.DatabaseError as error:
            # Too broken even to be looked at.
            return [str(error)]


def test_a_lone_connection_that_checkpoints_whenever_it_likes_loses_pages_where_sqlite_is_faulty(
    database: Path, writer: sqlite3.Connection
) -> None:
    with closing(log_faults.writer(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint")
        assert len(set(log_faults.shape(database))) == 1, "everything is copied"
        update = "UPDATE t SET b = randomblob(600) WHERE a < 5"
        pause = log_faults.Pause(connection, database, lambda: writer.execute(update))
        connection.execute("PRAGMA wal_checkpoint")
        assert pause.times == 1
        frames, copied = log_faults.shape(database)
        assert (copied > frames) == log_faults.IS_FAULTY, "more is copied than there is"
        update = "SELECT 1"
        writer.execute("UPDATE t SET b = randomblob(600)")
        connection.execute("PRAGMA wal_checkpoint")
    writer.close()
    assert bool(faults(database)) == log_faults.IS_FAULTY


@pytest.mark.parametrize("seed", range(5))
def test_ours_loses_nothing_whenever_a_writer_commits(database: Path, writer: sqlite3.Connection, seed: int) -> None:
    dice = random.Random(seed)
    expected = dict.fromkeys(range(ROWS), b"")
    writer.execute("UPDATE t SET b = x''")

    def commit() -> None:
        rows = dice.sample(range(ROWS), dice.choice((1, 3, ROWS)))
        blob = dice.randbytes(600)
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany("UPDATE t SET b = ? WHERE a = ?", [(blob, row) for row in rows])
        writer.execute("COMMIT")
        expected.update(dict.fromkeys(rows, blob))

    def perhaps_commit() -> None:
        if dice.random() < 0.7:
            commit()

    with closing(Log(database)) as log:
        # Before SQLite reads how long the log is, and between that and its look at how much is copied.
        log._connection.set_trace_callback(lambda statement: "checkpoint" in statement and perhaps_commit())
        pause = log_faults.Pause(log._connection, database, perhaps_commit)
        for _ in range(300):
            perhaps_commit()
            log.finish() if dice.random() < 0.3 else log.copy()
            frames, copied = log_faults.shape(database)
            assert copied <= frames
        assert pause.times > 100
        assert dict(writer.execute("SELECT a, b FROM t")) == expected
    writer.close()
    assert faults(database) == []


def test_no_checkpoint_begins_unless_something_was_committed_since_the_last_one_ended(
    database: Path, writer: sqlite3.Connection
) -> None:
    begun: list[str] = []
    with closing(Log(database)) as log:
        log._connection.set_trace_callback(lambda statement: "checkpoint" in statement and begun.append(statement))
        # What was committed before this connection was there may be copied already: it cannot know.
        assert log.copy() is None
        assert log.finish() is None
        writer.execute("UPDATE t SET b = 1")
        progress = log.copy()
        assert progress is not None
        assert progress.is_complete
        assert begun == ["PRAGMA wal_checkpoint(PASSIVE)"]
        assert log.copy() is None
        assert log.finish() is None
        # A reader, and a transaction that is rolled back, are no commits.
        writer.execute("SELECT count(*) FROM t").fetchall()
        writer.executescript("BEGIN IMMEDIATE; UPDATE t SET b = 2; ROLLBACK;")
        log.finish()
        log.copy()
        assert len(begun) == 1
        writer.execute("UPDATE t SET b = 3")
        assert log.finish() is not None
        assert log.finish() is None
        assert log.copy() is None
        assert begun[1:] == ["PRAGMA wal_checkpoint(RESTART)"]


def test_a_reader_of_an_old_state_keeps_the_log_and_is_not_waited_for(
    database: Path, writer: sqlite3.Connection
) -> None:
    with closing(Log(database)) as log, closing(log_faults.writer(database)) as reader:
        writer.execute("UPDATE t SET b = 1")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t").fetchall()
        writer.execute("UPDATE t SET b = 2")
        progress = log.copy()
        assert progress is not None
        assert not progress.is_complete
        writer.execute("UPDATE t SET b = 3")
        reader.execute("COMMIT")
        progress = log.finish()
        assert progress is not None
        assert progress.is_complete
