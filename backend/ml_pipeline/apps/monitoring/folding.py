"""Folding: requests and feedback into the totals of their hours, each exactly once, whatever becomes of the worker.

A pass reads what was not taken yet and adds it up, outside any transaction; then one short transaction under the
job's lease takes it and stores the windows that it changed. Killed anywhere, all of it is there or nothing; whoever
slept past his lease stores nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.endpoints.models import Feedback
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.jobs import jobs, rests
from ml_pipeline.apps.jobs.handlers import seldom
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.monitoring import (
    claims,
    currency,
    detectors,
    logged,
    measurements,
    outcomes,
    readable,
    sql,
    subjects,
)
from ml_pipeline.apps.monitoring.claims import Standing
from ml_pipeline.apps.monitoring.logged import Commit, Row, Search
from ml_pipeline.apps.monitoring.measurements import Asked, ByHour, Labelled
from ml_pipeline.apps.monitoring.outcomes import Outcome
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.apps.monitoring.totals import Totals
from ml_pipeline.apps.monitoring.windows import Windows
from ml_pipeline.apps.predictions.models import JournalBatch

logger = logging.getLogger(__name__)

# By algorithm and hour since 1970.
ByWindow: TypeAlias = dict[tuple[int, int], Totals]
# Of algorithms, in the order in which outcomes were told, whether the answer was right.
Rights: TypeAlias = list[tuple[Subject, npt.NDArray[np.bool_]]]
# Between two looks, and how long one may go on before the worker is asked again.
LOOK_S, LOOK_AT_MOST_S = 5.0, 20.0
# While a large job is done a pass is followed by a rest so many times as long, at most so long, unless windows are so
# late: before the command `status` asks whether a worker is running.
REST, MOST_REST_S, MOST_BEHIND_S = 4.0, 5.0, 30.0
# Commits and requests of a pass, unless one commit has more; hours of algorithms that it adds to, unless one has more.
MOST_COMMITS, MOST_ROWS, MOST_HOURS = 10_000, 10_000, 60
MOST_FEEDBACK = 5_000
# How far it has come with batch jobs, which is only ever a hint.
_search = Search()


class Pass(NamedTuple):
    """What a pass takes, and what that adds."""

    before: Standing
    ids: Sequence[int]
    totals: ByWindow
    rights: Rights


@seldom(lambda: LOOK_S)
def has_work() -> bool:
    """Whether there is anything to fold; where there was nothing it is not looked at again for LOOK_S."""
    sources = ((claims.BATCHES, JournalBatch), (claims.FEEDBACK, Feedback))
    return any(claims.waiting(model, claims.standing(source).taken, 1) for source, model in sources)


def work(lease: Lease) -> float | None:
    """Folds all that there is, and says when to look again."""
    begun, folder = time.monotonic(), Folder(lease)
    pass_begun = begun
    while folder.fold():
        _give_way(lease, time.monotonic() - pass_begun)
        pass_begun = time.monotonic()
        if lease.is_unwanted or pass_begun - begun > LOOK_AT_MOST_S:
            return 0.0
    return LOOK_S


def _give_way(lease: Lease, took_s: float) -> None:
    # Each row that a batch job logs costs as much to fold as to log.
    if jobs.is_large_one_running() and currency.behind_s(clock.now()) < MOST_BEHIND_S:
        lease.rest(min(REST * took_s, MOST_REST_S))


class Folder:
    """Folds under `lease`. Dropped when a transaction fails."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._windows = Windows()
        self._subjects: dict[int, Subject | None] = {}

    def fold(self) -> bool:
        """Whether there may be more, after a pass over requests and one over feedback.

        Raises LeaseLost and Raced, and then nothing was taken.
        """
        return any([self.fold_requests(), self.fold_feedback()])

    def fold_requests(self) -> bool:
        """Whether there may be more requests, after some."""
        before = claims.standing(claims.BATCHES)
        found = claims.waiting(JournalBatch, before.taken, MOST_COMMITS)
        commits = _paged(logged.commits(before.taken.takable(found)))
        if not commits:
            return False
        rows = _search.rows(commits)
        chosen = _few_hours(commits, rows)
        totals = self._requests(commits[:chosen], rows)
        self._store(Pass(before, [one.pk for one in commits[:chosen]], totals, []))
        return chosen < len(found) or len(found) == MOST_COMMITS

    def fold_feedback(self) -> bool:
        """Whether there may be more feedback, after some."""
        before = claims.standing(claims.FEEDBACK)
        found = claims.waiting(Feedback, before.taken, MOST_FEEDBACK)
        ids = before.taken.takable(found)
        if not ids:
            return False
        totals, rights = self._outcomes(outcomes.found(ids))
        self._store(Pass(before, ids, totals, rights))
        return len(ids) < len(found) or len(found) == MOST_FEEDBACK

    def _requests(self, commits: Sequence[Commit], rows: Mapping[int, list[Row]]) -> ByWindow:
        by_algorithm: dict[int, list[Asked]] = {}
        total: ByWindow = {}
        for commit in commits:
            for row in rows[commit.pk]:
                if row.asked.hour is None:
                    hour = sql.hour_at(commit.created_at)
                    _add(total, row.algorithm_id, {hour: Totals({"requests": 1, "unreadable": 1})})
                else:
                    by_algorithm.setdefault(row.algorithm_id, []).append(row.asked)
        for subject in self._learnt(by_algorithm):
            measured, spoilt = readable.parts(partial(measurements.requests, subject), by_algorithm[subject.pk])
            for by_hour in measured:
                _add(total, subject.pk, by_hour)
            for one in spoilt:
                _add(total, subject.pk, {int(one.hour or 0): Totals({"requests": 1, "unreadable": 1})})
        return total

    def _outcomes(self, told: Iterable[Outcome]) -> tuple[ByWindow, Rights]:
        by_algorithm: dict[int, list[Labelled]] = {}
        total: ByWindow = {}
        for one in told:
            if one.is_answered and not one.is_reward:
                by_algorithm.setdefault(one.algorithm_id, []).append(one.labelled)
            else:
                name = "rewarded" if one.is_reward else "unscored"
                _add(total, one.algorithm_id, {one.labelled.hour: Totals({name: 1})})
        rights: Rights = []
        for subject in self._learnt(by_algorithm):
            measured, spoilt = readable.parts(partial(measurements.outcomes, subject), by_algorithm[subject.pk])
            for rightness in measured:
                _add(total, subject.pk, rightness.by_hour)
            for lost in spoilt:
                _add(total, subject.pk, {lost.hour: Totals({"unreadable": 1})})
            rights.append((subject, np.concatenate([one.rights for one in measured] or [np.zeros(0, dtype=bool)])))
        return total, rights

    def _learnt(self, algorithm_ids: Iterable[int]) -> list[Subject]:
        fresh = set(algorithm_ids) - self._subjects.keys()
        found = subjects.found(fresh) if fresh else {}
        for algorithm_id in fresh - found.keys():
            logger.error("requests name the algorithm %s, which cannot be read: they are not counted", algorithm_id)
        self._subjects |= {one: found.get(one) for one in fresh}
        return [subject for one in algorithm_ids if (subject := self._subjects[one]) is not None]

    def _store(self, one: Pass) -> None:
        _complain(one.totals)
        known = {subject.pk for subject in self._learnt({algorithm_id for algorithm_id, _ in one.totals})}
        columns = self._windows.added({key: totals for key, totals in one.totals.items() if key[0] in known})
        watched = detectors.watched(one.rights)
        with rests.held(self._lease):
            claims.take(one.before, one.ids)
            self._windows.write(columns)
            detectors.write(watched)
            self._lease.advance()


def _paged(commits: Sequence[Commit]) -> Sequence[Commit]:
    # As many as have no more rows than a pass takes; one at least.
    rows = 0
    for at, commit in enumerate(commits):
        rows += commit.rows
        if at and rows > MOST_ROWS:
            return commits[:at]
    return commits


def _few_hours(commits: Sequence[Commit], rows: Mapping[int, list[Row]]) -> int:
    # How many of them add to no more windows than a transaction stores; one at least.
    touched: set[tuple[int, int | None]] = set()
    for at, commit in enumerate(commits):
        touched |= {(row.algorithm_id, row.asked.hour) for row in rows[commit.pk]}
        if at and len(touched) > MOST_HOURS:
            return at
    return len(commits)


def _add(total: ByWindow, algorithm_id: int, by_hour: ByHour) -> None:
    for hour, totals in by_hour.items():
        key = (algorithm_id, hour)
        total[key] = total[key] + totals if key in total else totals


def _complain(totals: ByWindow) -> None:
    unreadable = sum(one.whole.get("unreadable", 0) for one in totals.values())
    if unreadable:
        algorithms = ", ".join(sorted({str(key[0]) for key, one in totals.items() if one.whole.get("unreadable")}))
        logger.warning("%d requests or outcomes of the algorithms %s could not be read", unreadable, algorithms)
