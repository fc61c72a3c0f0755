"""Hooks: what the apps above do in the transaction of a change that is made here. They register when Django starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus


class Learnt(NamedTuple):
    """A piece of feedback that was appended, on a request that was part of a test."""

    request_id: UUID
    test_id: int


OnFeedback = Callable[[Sequence[Learnt]], None]
# Is given the endpoint, which is locked, the actor and the reason. Says what is in production now where it rolled the
# endpoint back, None where that is not its affair.
OnRollback = Callable[[Endpoint, str, str], MLAlgorithmStatus | None]

# Is given ids of tests, and says which of them are told rewards: numbers, whatever the algorithm answers.
OfRewards = Callable[[Collection[int]], set[int]]

# Is given a batch job's id, and says when it was made; None where there is no such job.
OfBatches = Callable[[int], datetime | None]

# Is given the id of a writer of the log, and says when the batch job that it is was made; None where it is none.
OfWriters = Callable[[UUID], datetime | None]

_of_writers: list[OfWriters] = []
_of_batches: list[OfBatches] = []
_of_rewards: list[OfRewards] = []
_on_feedback: list[OnFeedback] = []
_on_rollback: list[OnRollback] = []


def on_feedback(hook: OnFeedback) -> None:
    """`hook` is told of all feedback on requests of tests from now on, in the transaction that appends it."""
    _on_feedback.append(hook)


def on_rollback(hook: OnRollback) -> None:
    """`hook` is asked before each rollback from now on, in its transaction."""
    _on_rollback.append(hook)


def of_rewards(hook: OfRewards) -> None:
    """`hook` is asked from now on which tests are told rewards."""
    _of_rewards.append(hook)


def of_batches(hook: OfBatches) -> None:
    """`hook` is asked from now on when a batch job was made."""
    _of_batches.append(hook)


def of_writers(hook: OfWriters) -> None:
    """`hook` is asked from now on when the batch job that writes to the log was made."""
    _of_writers.append(hook)


def writer_made_at(writer: UUID) -> datetime | None:
    """When the batch job that writes to the log with this id was made; None where no batch job does."""
    return next((moment for hook in _of_writers if (moment := hook(writer)) is not None), None)


def batch_made_at(job_id: int) -> datetime | None:
    """When the batch job with this id was made; None where there is none."""
    return next((moment for hook in _of_batches if (moment := hook(job_id)) is not None), None)


def rewarded(test_ids: Collection[int]) -> set[int]:
    """Those of `test_ids` whose feedback is a reward instead of an outcome."""
    return {one for hook in _of_rewards if test_ids for one in hook(test_ids)}


def feedback_appended(learnt: Sequence[Learnt]) -> None:
    """All that want to know of it have been told. Belongs in the transaction that appended it."""
    for hook in _on_feedback if learnt else ():
        hook(learnt)


def rolled_back(endpoint: Endpoint, actor: str, reason: str) -> MLAlgorithmStatus | None:
    """The step into production of an app above that rolled `endpoint` back; None where none did."""
    return next((step for hook in _on_rollback if (step := hook(endpoint, actor, reason)) is not None), None)
