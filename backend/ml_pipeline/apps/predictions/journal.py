"""The journal: writes predictions to the database, in one transaction that is durable before anyone is answered.

Each commit is a JournalBatch whose sha256 covers its rows and the writer's previous batch, so that a row that is
edited or removed later breaks the chain.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from uuid import uuid4

import msgspec
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from ml_pipeline.apps.predictions import gaps, measures, writers
from ml_pipeline.apps.predictions.calls import Answerable, wake
from ml_pipeline.apps.predictions.commits import GroupCommit, Turn
from ml_pipeline.apps.predictions.writers import Batch, Entry, Uncounted
from ml_pipeline.errors import JournalUnavailable
from ml_pipeline.metrics.traces import traces

logger = logging.getLogger(__name__)

GENESIS = "0" * 64
# How long a commit may be under way before the journal counts as unavailable.
STUCK_S = 5.0
# Connections of parents: closing one here, or letting it go, would harm the parent.
_inherited: list[BaseDatabaseWrapper] = []
UNAVAILABLE = "The prediction could not be logged, so it is not answered."


class Answer(NamedTuple):
    """One answer that an A/B test has to count: its unit's digest and arm, whether that failed, and its latency."""

    test_id: int
    digest: str
    arm: int
    failed: int
    latency_us: int


class Group(NamedTuple):
    """The entries of some calls, which are committed together with `answers`; the calls are then woken."""

    entries: list[Entry]
    calls: Sequence[Answerable]
    answers: Sequence[Answer] = ()


class Journal:
    """The only writer of MLRequest rows. Thread-safe; a forked process becomes a writer of its own."""

    def __init__(self, turn: Turn) -> None:
        """In `turn` this process may write; others who write to the same SQLite file take it too."""
        self._writer = writers.of(connection)
        # Its own, whichever thread commits.
        self._database: BaseDatabaseWrapper | None = None
        self._commits: GroupCommit[Group] = GroupCommit(
            self._commit_all,
            lambda group: len(group.entries),
            turn=turn,
            name="journal",
            # Over a network a commit may be waited for without end, which only a thread of its own can afford.
            commit_at_once=self._commit_at_once if self._writer.IS_LOCAL else None,
        )
        self._begin_chain()
        os.register_at_fork(after_in_child=self._begin_in_child)

    def _begin_in_child(self) -> None:
        if self._database is not None:
            _inherited.append(self._database)
            self._database = None
        self._begin_chain()

    def _begin_chain(self) -> None:
        # When the commit under way was.
        self._begun = 0.0
        self._writer_id = uuid4()
        self._seq = 0
        self._head = GENESIS

    def submit(self, group: Group) -> None:
        """`group` is committed with whatever else waits, and told of. Raises JournalUnavailable without room for it."""
        self._commits.submit(group)

    @property
    def is_available(self) -> bool:
        """Whether no commit has been under way for long."""
        return self._commits.age_s < STUCK_S

    @property
    def rows(self) -> int:
        """Rows that wait for their commit or are being committed."""
        return self._commits.rows

    @property
    def age_s(self) -> float:
        """For how many seconds the commit under way has been; 0 when none is."""
        return self._commits.age_s

    def close(self, patience_s: float | None = None) -> bool:
        """Whether everything is committed, which is awaited."""
        is_committed = self._commits.close(patience_s)
        if is_committed:
            self._disconnect()
        return is_committed

    def _commit_at_once(self, group: Group) -> bool:
        # Often in the event loop, so nothing is awaited but the disk: connecting, and other writers, are the thread's.
        if self._database is None or self._database.connection is None:
            return False
        try:
            batch = self._written(self._database, group.entries, group.answers, is_patient=False)
        # Nothing is committed yet. The thread does it once more, and says what is wrong if it is wrong again.
        except Exception:  # noqa: BLE001
            # Where others were writing nothing was begun.
            if self._database.connection.in_transaction:
                self._disconnect()
            return False
        try:
            self._make_durable(self._database, batch)
        # As in the thread.
        except Exception as error:  # noqa: BLE001
            self._abandon(error)
            finish(group.calls, JournalUnavailable(UNAVAILABLE))
        else:
            finish(group.calls, begun=self._begun)
        return True

    def _commit_all(self, groups: Sequence[Group]) -> None:
        calls = [call for group in groups for call in group.calls]
        try:
            database = self._connected()
            batch = self._written_again(
                database,
                [entry for group in groups for entry in group.entries],
                [answer for group in groups for answer in group.answers],
            )
            self._make_durable(database, batch)
        # The outermost edge of this thread: whatever it was, whoever waits is told, and the next are committed.
        except Exception as error:  # noqa: BLE001
            self._abandon(error)
            if len(groups) > 1 and self._may_be_of_one(error):
                for group in groups:
                    self._commit_all([group])
                return
            finish(calls, JournalUnavailable(UNAVAILABLE))
        else:
            finish(calls, begun=self._begun)

    def _written_again(self, database: BaseDatabaseWrapper, entries: list[Entry], answers: Sequence[Answer]) -> Batch:
        try:
            return self._written(database, entries, answers)
        except Error:
            # A connection that was cut while it lay idle fails before anything is written: once more on a new one.
            if database.is_usable():
                raise
            self._disconnect()
            return self._written(self._connected(), entries, answers)

    def _written(
        self,
        database: BaseDatabaseWrapper,
        entries: list[Entry],
        answers: Sequence[Answer],
        *,
        is_patient: bool = True,
    ) -> Batch:
        self._begun = time.monotonic()
        batch = Batch(self._writer_id, self._seq + 1, len(entries), chained(self._head, entries), now())
        uncounted = _uncounted(answers) if answers else ()
        write = partial(self._writer.write, database, batch, entries, uncounted)
        if is_patient:
            gaps.patiently(database, write)
        else:
            write()
        return batch

    def _make_durable(self, database: BaseDatabaseWrapper, batch: Batch) -> None:
        self._writer.commit(database)
        self._seq, self._head = batch.seq, batch.sha256
        measures.committed(measures.PREDICTIONS, batch.rows, time.monotonic() - self._begun)

    def _abandon(self, error: Exception) -> None:
        measures.not_committed(measures.PREDICTIONS)
        logger.error("predictions could not be committed: %s", error, exc_info=not isinstance(error, Error))
        self._disconnect()
        # The commit may have happened all the same; a writer that cannot know starts a chain of its own.
        self._begin_chain()

    def _may_be_of_one(self, error: Exception) -> bool:
        # Not when the database is away, or full. A server may cut the connection to refuse a single large row.
        if not isinstance(error, OperationalError | InterfaceError):
            return True
        if self._writer.IS_LOCAL:
            return False
        try:
            self._connected()
        except Error:
            return False
        return True

    def _connected(self) -> BaseDatabaseWrapper:
        if self._database is None:
            self._database = connection.copy()
            # Whoever commits has it to himself (see `GroupCommit`).
            self._database.inc_thread_sharing()
        if self._database.connection is None:
            self._database.ensure_connection()
            gaps.wait_for_nobody(self._database)
        return self._database

    def _disconnect(self) -> None:
        # The driver's own connection: in an event loop Django forbids to close its.
        if self._database is not None and self._database.connection is not None:
            broken, self._database.connection = self._database.connection, None
            with contextlib.suppress(Exception):
                broken.close()


def finish(
    calls: Sequence[Answerable], unavailable: JournalUnavailable | None = None, *, begun: float | None = None
) -> None:
    """The calls are finished, and their waiters woken, or told that their predictions are not known to be logged.

    They were committed from `begun` on, on the monotonic clock, if so.
    """
    if unavailable is not None:
        for call in calls:
            call.error = unavailable
    if traces.is_on:
        measures.note_parts(calls, begun)
    measures.finished(calls)
    wake(calls)


def _uncounted(answers: Sequence[Answer]) -> list[Uncounted]:
    # A test, and what it has to count.
    by_test: dict[int, list[tuple[object, ...]]] = {}
    for answer in answers:
        by_test.setdefault(answer.test_id, []).append(answer[1:])
    return [Uncounted(test_id, msgspec.json.encode(its).decode()) for test_id, its in by_test.items()]


def now() -> str:
    """The present time as the log has it."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """`moment` (aware) as the log has it: UTC with microseconds, in a form that every database reads."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def chained(previous: str, entries: Sequence[Entry]) -> str:
    """The hex sha256 of a batch: over the previous batch's and every immutable column of every row, in order."""
    return hashlib.sha256(previous.encode() + msgspec.json.encode(entries)).hexdigest()


def database_answers() -> bool:
    """Whether the database answers this thread now."""
    # Twice: a connection that was cut while it lay idle says nothing about the database.
    for _ in range(2):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            connection.close()
        else:
            return True
    return False
