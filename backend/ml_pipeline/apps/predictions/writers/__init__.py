"""Writers: how one group commit is written on each database, past the ORM, whose objects cost more than the rows.

All write the same tables: a JournalBatch, the MLRequests that refer to it, and what A/B tests have to count of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from ml_pipeline.apps.abtests.models import UncountedAnswers
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions.models import JournalBatch


class Entry(NamedTuple):
    """One prediction as it is logged; the fields are MLRequest's. `id` is 32 hex digits, `created_at` UTC as text with
    microseconds."""

    id: str
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
    created_at: str
    test_id: int | None = None
    arm: int | None = None
    # Of the batch job that asked.
    job_id: int | None = None


class Batch(NamedTuple):
    """One group commit as it is logged; the fields are JournalBatch's."""

    writer: UUID
    seq: int
    rows: int
    sha256: str
    created_at: str


class Uncounted(NamedTuple):
    """What one test has to count of one commit; the fields are UncountedAnswers'."""

    test_id: int
    answers: str


class Writer(Protocol):
    """A module that writes batches on one kind of database; IS_LOCAL where that is a file on this machine."""

    IS_LOCAL: bool

    def write(
        self, connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry], uncounted: Sequence[Uncounted]
    ) -> None:
        """A transaction is open, with `batch`, `entries` and `uncounted` in it. Raises django.db.Error."""
        ...

    def add(self, connection: BaseDatabaseWrapper, batch: Batch, entries: list[Entry]) -> int:
        """The id of `batch`, which the open transaction of `connection` has in it with `entries`. Raises
        django.db.Error."""
        ...

    def commit(self, connection: BaseDatabaseWrapper) -> None:
        """That transaction is durable. Raises django.db.Error when it is not known to be."""
        ...


def of(connection: BaseDatabaseWrapper) -> Writer:
    """The writer for the database of `connection`."""
    return cast(Writer, import_module(f"{__name__}.{connection.vendor}"))


def table(model: type[Model]) -> str:
    """The quoted-as-is name of a table."""
    return model._meta.db_table


def columns(model: type[Model], *fields: str) -> str:
    """The columns of `fields`, as SQL lists them."""
    found: list[Any] = [model._meta.get_field(field) for field in fields]
    return ", ".join(field.column for field in found)


BATCH_COLUMNS = columns(JournalBatch, *Batch._fields)
UNCOUNTED_COLUMNS = columns(UncountedAnswers, *Uncounted._fields)
# An entry's fields in order, then what places it in its batch.
ENTRY_COLUMNS = columns(
    MLRequest,
    *("parent_mlalgorithm" if field == "algorithm_id" else field for field in Entry._fields),
    "batch_id",
    "position",
)


def placed(entries: list[Entry], batch_id: int) -> list[tuple[Any, ...]]:
    """The rows of MLRequest for ENTRY_COLUMNS."""
    return [(*entry, batch_id, position) for position, entry in enumerate(entries)]
