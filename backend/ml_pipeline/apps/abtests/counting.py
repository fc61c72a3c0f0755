"""Counting: answers and labels of running tests, each once and in the order in which they came.

A fold is a transaction: it takes what is not counted, deletes it, and moves the test by it, so that whoever is killed
leaves all of it or nothing. The test's row is locked meanwhile: the worker and whoever stops the test take turns.
After each observation the rule is asked, so a decision does not depend on what happened to come in one fold.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from ml_pipeline.apps.abtests import scoring, standings, verdicts
from ml_pipeline.apps.abtests.assignment import Assignment
from ml_pipeline.apps.abtests.models import UncountedAnswers, UncountedLabel, Unit
from ml_pipeline.apps.abtests.standings import Standing
from ml_pipeline.apps.endpoints import feedback
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.jobs import rests
from ml_pipeline.apps.jobs.leases import Lease

# Answers and labels of one transaction.
ROWS = 200
# Between two looks at a running test, and how long one look may go on.
LOOK_S, LOOK_AT_MOST_S = 1.0, 5.0
# How long what was under way when a test ended may come in, to be cleared away.
LINGER = timedelta(seconds=60)
_one_at_a_time = threading.Lock()
# Of looks of this process that went on for too long, by test. Another one that goes on begins with a newer bound.
_left: dict[int, Bound] = {}


class Bound(NamedTuple):
    """The newest rows of answers and labels that are to be counted, as of a moment."""

    answers: int
    labels: int
    moment: datetime


class _Taken(NamedTuple):
    # What one fold takes: answers as [digest, arm, failed, latency in µs], and ids of requests that have feedback.
    answers: list[list[Any]]
    labels: list[UUID]
    is_more: bool


def work(lease: Lease) -> float | None:
    """Counts what there is of the test that the lease is for, and says when to look again; None once it is over.

    What comes in meanwhile is the next look's: else labels, which wait for the answers before them, would wait for all.
    """
    test_id, begun = int(lease.subject), time.monotonic()
    bound = _left.pop(test_id, None)
    while True:
        with _turn():
            with lease.held():
                # From now on nobody else writes; the wait before that was not ours to give back.
                started = time.monotonic()
                standing = standings.locked(test_id)
                bound = bound or newest(standing)
                is_more = fold(standing, bound)
            if is_more:
                rests.give_way(time.monotonic() - started)
        if not is_more:
            ended = standing.test.ended_at
            return None if ended is not None and ended + LINGER < standing.moment else LOOK_S
        if time.monotonic() - begun > LOOK_AT_MOST_S:
            _left[test_id] = bound
            return 0.0


@contextmanager
def _turn() -> Iterator[None]:
    # Where only one can write at a time, no other thread of the worker takes the place in which one gives way.
    if connection.vendor == "sqlite":
        with _one_at_a_time:
            yield
    else:
        yield


def newest(standing: Standing) -> Bound:
    """What there is to count now. Belongs in the transaction in which the standing is locked."""
    # Labels first: what they are of is there already.
    labels, answers = (
        model.objects.filter(test_id=standing.test.pk).aggregate(last=Max("id"))["last"] or 0
        for model in (UncountedLabel, UncountedAnswers)
    )
    return Bound(answers, labels, standing.moment)


def fold(standing: Standing, bound: Bound | None = None) -> bool:
    """Whether there is more to count, after some was (of what is within `bound`), and the rule was asked.

    Belongs in a transaction with `standing` locked. Of a test that is over, late answers and labels are taken away;
    a correction of what was counted marks it.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("fold() belongs in a transaction")
    taken = _take(standing.test.pk, bound)
    before = standing.test.is_corrected
    if standing.is_running:
        _count_answers(standing, taken.answers)
    _count_labels(standing, taken.labels)
    if standing.is_running and not taken.is_more:
        verdicts.look(standing, counted_until=standing.moment if bound is None else bound.moment)
    is_moved = standing.is_running and bool(taken.answers or taken.labels)
    if is_moved or standing.test.is_corrected != before:
        standing.save()
    return taken.is_more


def _take(test_id: int, bound: Bound | None) -> _Taken:
    labels = UncountedLabel.objects.filter(test_id=test_id).order_by("id")
    answers = UncountedAnswers.objects.filter(test_id=test_id).order_by("id")
    if bound is not None:
        labels, answers = labels.filter(id__lte=bound.labels), answers.filter(id__lte=bound.answers)
    # Read before the answers: whatever was labelled before this was answered before that.
    waiting = list(labels.values_list("id", "request_id")[:ROWS])
    taken: list[list[Any]] = []
    done: list[int] = []
    for row in answers[:ROWS]:
        found = json.loads(row.answers)
        room = ROWS - len(taken)
        taken += found[:room]
        if len(found) > room:
            # A commit may have more answers than a transaction of ours.
            UncountedAnswers.objects.filter(pk=row.pk).update(answers=json.dumps(found[room:]))
            break
        done.append(row.pk)
    UncountedAnswers.objects.filter(pk__in=done).delete()
    if len(taken) >= ROWS:
        # A label may be of an answer that is still to come.
        return _Taken(taken, [], True)
    waiting = waiting[: ROWS - len(taken)]
    UncountedLabel.objects.filter(pk__in=[pk for pk, _ in waiting]).delete()
    return _Taken(taken, [request_id for _, request_id in waiting], len(taken) + len(waiting) >= ROWS)


def _count_answers(standing: Standing, answers: Sequence[Sequence[Any]]) -> None:
    known = set(
        Unit.objects.filter(test=standing.test, digest__in={one[0] for one in answers}).values_list("digest", flat=True)
    )
    units = []
    for digest, arm, failed, latency_us in answers:
        # A unit's first answer stands for it.
        if digest in known:
            continue
        known.add(digest)
        unit = Unit(test=standing.test, digest=digest, arm=arm, is_failed=bool(failed), latency_us=latency_us)
        standing.tally.assign(digest, arm, is_failed=unit.is_failed, latency_us=latency_us)
        units.append(unit)
    Unit.objects.bulk_create(units)
    if units:
        verdicts.look(standing)


def _count_labels(standing: Standing, request_ids: Sequence[UUID]) -> None:
    if not request_ids:
        return
    requests = MLRequest.objects.filter(test_id=standing.test.pk).only(*scoring.FIELDS).in_bulk(list(request_ids))
    assignment = Assignment(standing.test.salt, standing.tally.terms.plan.weights)
    digests = {pk: assignment.arm(scoring.unit_of(one))[1] for pk, one in requests.items() if one.arm is not None}
    units = {one.digest: one for one in Unit.objects.filter(test=standing.test, digest__in=set(digests.values()))}
    outcomes = feedback.effective(digests)
    changed = []
    for request_id in request_ids:
        unit = units.get(digests.get(request_id, ""))
        if unit is None:
            # Not counted: asked for by version, say, or a row of a failed attempt.
            continue
        if unit.position is None:
            if standing.is_running and _observe(standing, unit, requests[request_id], outcomes):
                changed.append(unit)
                verdicts.look(standing)
        elif unit.request_id == request_id:
            standing.test.is_corrected = True
    _write(changed)


def _observe(standing: Standing, unit: Unit, request: MLRequest, outcomes: Mapping[UUID, Any]) -> bool:
    # The unit's first label: whichever of its requests it is of.
    if request.arm != unit.arm or request.pk not in outcomes:
        return False
    score = scoring.score(standing.tally.terms.metric, standing.arms[unit.arm], request, outcomes[request.pk])
    standing.tally.advance(unit.digest, unit.arm, request.pk, score)
    unit.position, unit.request_id, unit.score = standing.tally.observations, request.pk, score
    return True


def _write(units: Sequence[Unit]) -> None:
    """Their observations are in the database. Django's `bulk_update` takes 2 ms a row, nearly all of it Python's."""
    if not units:
        return
    quoted: Any = connection.ops.quote_name
    meta: Any = Unit._meta
    columns = [meta.get_field(name) for name in ("position", "request_id", "score", "id")]
    values = [[one.get_db_prep_save(getattr(unit, one.attname), connection) for one in columns] for unit in units]
    position, request_id, score, key = (quoted(one.column) for one in columns)
    changes = f"{position} = %s, {request_id} = %s, {score} = %s"
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {quoted(meta.db_table)} SET {changes} WHERE {key} = %s", values)  # noqa: S608
