"""Measures: what the data plane counts of its requests, batches and commits.

All that was committed together is counted together: one look at the clock, one lock. Labels come from routes and the
table of errors. A request is counted once, when it is known what its client is told.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence

from ml_pipeline.apps.predictions.calls import Answerable
from ml_pipeline.apps.predictions.routing import Route
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.metrics import families
from ml_pipeline.metrics.recorder import Child, recorder
from ml_pipeline.metrics.traces import Part
from ml_pipeline.wire import replies

OK = "ok"
LOGS = PREDICTIONS, OUTCOMES = ("predictions", "feedback")
# No more of them are remembered than there are algorithms in use.
MOST_REMEMBERED = 10_000


class OfAlgorithm:
    """What is counted of one algorithm."""

    __slots__ = ("answered", "batch_rows", "codes", "inference", "labels", "latency", "rows")

    def __init__(self, route: Route) -> None:
        self.labels = labels = (route.endpoint, route.name, route.version)
        self.answered = recorder.child(families.REQUESTS, *labels, OK)
        self.rows = recorder.child(families.ROWS_ANSWERED, *labels)
        self.latency = recorder.child(families.LATENCY, *labels)
        self.inference = recorder.child(families.INFERENCE, *labels)
        self.batch_rows = recorder.child(families.BATCH_ROWS, *labels)
        self.codes: dict[str, Child] = {}

    def failed(self, code: str) -> Child:
        """Its requests that were answered with that error."""
        if code not in self.codes:
            self.codes[code] = recorder.child(families.REQUESTS, *self.labels, code)
        return self.codes[code]


_algorithms: dict[int, OfAlgorithm] = {}


def of(route: Route) -> OfAlgorithm:
    """What is counted of the algorithm of `route`."""
    found = _algorithms.get(route.algorithm_id)
    if found is None:
        if len(_algorithms) >= MOST_REMEMBERED:
            _algorithms.clear()
        found = _algorithms[route.algorithm_id] = OfAlgorithm(route)
    return found


def finished(calls: Sequence[Answerable]) -> None:
    """These calls are finished, and their clients are about to be told."""
    now = time.monotonic()
    counted = [(call, its, _outcome(its, call.error)) for call in calls for its in (of(call.route),)]
    with recorder.lock:
        for call, its, outcome in counted:
            if call.is_counted:
                continue
            call.is_counted = True
            outcome.cells[0] += 1.0
            if call.error is None:
                its.rows.cells[0] += call.size
            latency_s, cells = now - call.started, its.latency.cells
            cells[bisect_left(families.LATENCY_S, latency_s)] += 1.0
            cells[-1] += latency_s


def note_parts(calls: Sequence[Answerable], begun: float | None) -> None:
    """What took the calls' time is in their `parts`; they were committed from `begun` until now, if so."""
    commit = [] if begun is None else [Part("commit", begun, time.monotonic())]
    for call in calls:
        inference = [] if call.ran is None else [Part("inference", *call.ran)]
        call.parts = [*inference, *commit]


def given_up(call: Answerable, error: MLPipelineError) -> None:
    """The client of `call` is told of `error` instead, and not of what comes of it."""
    its = of(call.route)
    outcome, now = _outcome(its, error), time.monotonic()
    with recorder.lock:
        error.is_counted = True
        if not call.is_counted:
            call.is_counted = True
            outcome.cells[0] += 1.0
            its.latency.observe(now - call.started)


def refused(error: BaseException, route: Route | None = None) -> None:
    """A request was refused with `error` before it was under way; without a `route` when none was found."""
    if getattr(error, "is_counted", False):
        return
    if isinstance(error, MLPipelineError):
        error.is_counted = True
    code = replies.reply_to(error).code if isinstance(error, Exception) else replies.INTERNAL.code
    labels = ("", "", "") if route is None else of(route).labels
    recorder.add(families.REQUESTS, *labels, code)


def ran(algorithm_id: int, rows: int, took_s: float) -> None:
    """An algorithm, one that was asked for before, has taken so long for a batch."""
    its = _algorithms.get(algorithm_id)
    if its is None:
        return
    with recorder.lock:
        its.inference.observe(took_s)
        its.batch_rows.observe(rows)


def prepare() -> None:
    """What is hoped to stay 0 is told as 0, so that its first change is seen as one."""
    for log in LOGS:
        recorder.add(families.COMMIT_FAILURES, log, amount=0.0)


def committed(log: str, rows: int, took_s: float) -> None:
    """A group commit to `log`, the one of predictions or of feedback, is durable."""
    seconds, written = recorder.child(families.COMMITS, log), recorder.child(families.COMMITTED_ROWS, log)
    with recorder.lock:
        seconds.observe(took_s)
        written.cells[0] += rows


def not_committed(log: str) -> None:
    """A group commit failed."""
    recorder.add(families.COMMIT_FAILURES, log)


def told(error: BaseException | None) -> None:
    """A true outcome was told; `error` is why it was not taken."""
    code = OK if error is None else replies.INTERNAL.code
    if isinstance(error, Exception):
        code = replies.reply_to(error).code
    recorder.add(families.FEEDBACK, code)


def turned_away(method: str, status: int) -> None:
    """A request to the control plane was refused before Django saw it, by which it has no route."""
    recorder.add(families.HTTP_REQUESTS, "", families.method(method), str(status))


def _outcome(its: OfAlgorithm, error: MLPipelineError | None) -> Child:
    return its.answered if error is None else its.failed(replies.reply_to(error).code)
