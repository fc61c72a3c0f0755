"""The journal: writes predictions to the database, in one transaction that is durable before anyone is answered.

Each commit is a JournalBatch whose sha256 covers its rows and the writer's previous batch, so that a row that is
edited or removed later breaks the chain.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import msgspec
from django.db import DataError, Error, IntegrityError, connection

from ml_pipeline.apps.predictions import writers
from ml_pipeline.apps.predictions.calls import Call, wake
from ml_pipeline.apps.predictions.commits import GroupCommit
from ml_pipeline.apps.predictions.writers import Batch, Entry
from ml_pipeline.errors import JournalUnavailable

logger = logging.getLogger(__name__)

GENESIS = "0" * 64


class Group(NamedTuple):
    """The entries of some calls, which are committed together; the calls are then woken."""

    entries: list[Entry]
    calls: Sequence[Call]


class Journal:
    """The only writer of MLRequest rows. Thread-safe; a forked process becomes a writer of its own."""

    def __init__(self, turn: AbstractContextManager[None]) -> None:
        """In `turn` this process may write; others who write to the same SQLite file take it too."""
        self._commits: GroupCommit[Group] = GroupCommit(
            self._commit_all, lambda group: len(group.entries), turn=turn, name="journal"
        )
        self._begin_chain()
        os.register_at_fork(after_in_child=self._begin_chain)

    def _begin_chain(self) -> None:
        self._writer = uuid4()
        self._seq = 0
        self._head = GENESIS

    def submit(self, group: Group) -> None:
        """`group` is committed with whatever else waits, and told of. Raises JournalUnavailable without room for it."""
        self._commits.submit(group)

    def close(self, patience_s: float | None = None) -> bool:
        """Whether everything is committed, which is awaited."""
        return self._commits.close(patience_s)

    def _commit_all(self, groups: Sequence[Group]) -> None:
        unavailable: JournalUnavailable | None = None
        try:
            self._commit([entry for group in groups for entry in group.entries])
        # The outermost edge of this thread: whatever it was, whoever waits is told, and the next are committed.
        except Exception as error:
            logger.error("predictions could not be committed: %s", error, exc_info=not isinstance(error, Error))
            connection.close()
            # The commit may have happened all the same; a writer that cannot know starts a chain of its own.
            self._begin_chain()
            if len(groups) > 1 and isinstance(error, DataError | IntegrityError):
                # One of them may be the cause.
                for group in groups:
                    self._commit_all([group])
                return
            unavailable = JournalUnavailable("The prediction could not be logged, so it is not answered.")
        finish([call for group in groups for call in group.calls], unavailable)

    def _commit(self, entries: list[Entry]) -> None:
        writer = writers.of(connection)
        head = chained(self._head, entries)
        batch = Batch(self._writer, self._seq + 1, len(entries), head, now())
        try:
            writer.write(connection, batch, entries)
        except Error:
            # A connection that was cut while it lay idle fails before anything is written: once more on a new one.
            if connection.is_usable():
                raise
            connection.close()
            writer.write(connection, batch, entries)
        writer.commit(connection)
        self._seq += 1
        self._head = head


def finish(calls: Sequence[Call], unavailable: JournalUnavailable | None = None) -> None:
    """The calls are finished, and their waiters woken, or told that their predictions are not known to be logged."""
    if unavailable is not None:
        for call in calls:
            call.error = unavailable
    wake(calls)


def now() -> str:
    """The present time as the log has it."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """`moment` (aware) as the log has it: UTC with microseconds, in a form that every database reads."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def chained(previous: str, entries: Sequence[Entry]) -> str:
    """The hex sha256 of a batch: over the previous batch's and every immutable column of every row, in order."""
    return hashlib.sha256(previous.encode() + msgspec.json.encode(entries)).hexdigest()
