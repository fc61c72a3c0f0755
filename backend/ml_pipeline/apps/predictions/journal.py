"""The journal: writes predictions to the database, in one transaction that is durable before anyone is answered.

Each commit is a JournalBatch whose sha256 covers its rows and the writer's previous batch, so that a row that is
edited or removed later breaks the chain.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import Error, connection, transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.errors import JournalUnavailable

logger = logging.getLogger(__name__)

ROWS_A_STATEMENT = 500
# How long a commit waits for those before it.
PATIENCE_S = 5.0
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One prediction as it is logged; the fields are MLRequest's."""

    id: UUID
    algorithm_id: int
    outcome: str
    revision: int
    input_data: str
    full_response: str
    response: str | None
    probability: float | None
    latency_us: int
    unit: str | None
    key_id: int | None
    created_at: datetime


class Journal:
    """The only writer of MLRequest rows. Thread-safe; a forked process becomes a writer of its own."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._begin_chain()

    def _begin_chain(self) -> None:
        self._writer = uuid4()
        self._seq = 0
        self._head = GENESIS

    def commit(self, entries: Sequence[Entry]) -> None:
        """Returns once all of `entries` are durable. Raises JournalUnavailable when it is not known that they are."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise JournalUnavailable("Predictions wait too long to be logged; this one is not answered.")
        try:
            self._commit(entries, chained(self._head, entries))
        except Error as error:
            # The commit may have happened all the same; a writer that cannot know starts a chain of its own.
            logger.error("predictions could not be committed: %s", error)
            connection.close()
            self._begin_chain()
            raise JournalUnavailable("The prediction could not be logged, so it is not answered.") from error
        finally:
            self._lock.release()

    def _commit(self, entries: Sequence[Entry], head: str) -> None:
        written = False
        try:
            with transaction.atomic():
                self._write(entries, head)
                written = True
        except Error:
            # A connection that was cut while it lay idle fails before anything is written: once more on a new one.
            if written or connection.is_usable():
                raise
            connection.close()
            with transaction.atomic():
                self._write(entries, head)
        self._seq += 1
        self._head = head

    def _write(self, entries: Sequence[Entry], head: str) -> None:
        batch = JournalBatch.objects.create(
            writer=self._writer, seq=self._seq + 1, rows=len(entries), sha256=head, created_at=timezone.now()
        )
        MLRequest.objects.bulk_create(
            [
                MLRequest(
                    id=entry.id,
                    parent_mlalgorithm_id=entry.algorithm_id,
                    outcome=entry.outcome,
                    revision=entry.revision,
                    batch_id=batch.pk,
                    position=position,
                    input_data=entry.input_data,
                    full_response=entry.full_response,
                    response=entry.response,
                    probability=entry.probability,
                    latency_us=entry.latency_us,
                    unit=entry.unit,
                    key_id=entry.key_id,
                    created_at=entry.created_at,
                )
                for position, entry in enumerate(entries)
            ],
            batch_size=ROWS_A_STATEMENT,
        )


def chained(previous: str, entries: Sequence[Entry]) -> str:
    """The hex sha256 of a batch: over the previous batch's and every immutable column of every row, in order."""
    digest = hashlib.sha256(previous.encode())
    for entry in entries:
        row = (
            entry.id.hex,
            entry.algorithm_id,
            entry.outcome,
            entry.revision,
            entry.input_data,
            entry.full_response,
            entry.response,
            None if entry.probability is None else entry.probability.hex(),
            entry.latency_us,
            entry.unit,
            entry.key_id,
            entry.created_at.isoformat(timespec="microseconds"),
        )
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()
