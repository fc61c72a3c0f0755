"""The families of metrics that processes count by themselves, in one table, from which docs/monitoring.md is checked.

A label's value comes from the registry, from the table of errors or from our own code, never from a client: so there
are no more series than algorithms, routes and kinds of failures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

PREFIX: Final = "ml_pipeline_"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ALGORITHM: Final = ("endpoint", "algorithm", "version")

# Upper bounds of buckets, in seconds: a tree in the event loop answers in under one millisecond, a deadline is some
# seconds; and in rows.
LATENCY_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
INFERENCE_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
COMMIT_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
STEP_S: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_000.0, 10_000.0)


class Kind(Enum):
    """How the values of several processes make one: added up, even of those that are dead; or, of a gauge, not."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its `name` without `_total`, what it says, and the names of its labels.

    A histogram has `bounds`, the upper ones of its buckets without infinity. A gauge gets the label `pid` on top.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers one child has: a histogram's buckets, infinity's, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(PREFIX + name, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str) -> Family:
    return Family(PREFIX + name, Kind.GAUGE, text)


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Family:
    return Family(PREFIX + name, Kind.HISTOGRAM, text, labels, bounds)


REQUESTS = _counter(
    "requests",
    "Prediction requests by what became of them: ok, or an error's code. Without algorithm where none was found.",
    *ALGORITHM,
    "code",
)
ROWS_ANSWERED = _counter("predictions", "Rows that were predicted, logged and answered.", *ALGORITHM)
LATENCY = _histogram(
    "request_duration_seconds",
    "From a prediction request's arrival until it is answered, its commit included.",
    LATENCY_S,
    *ALGORITHM,
)
INFERENCE = _histogram(
    "inference_duration_seconds", "What an algorithm took for one batch of rows.", INFERENCE_S, *ALGORITHM
)
BATCH_ROWS = _histogram(
    "inference_batch_rows", "Rows of the requests that an algorithm answered at once.", ROWS, *ALGORITHM
)
COMMITS = _histogram(
    "commit_duration_seconds", "What a group commit took; log is predictions or feedback.", COMMIT_S, "log"
)
COMMITTED_ROWS = _counter("committed_rows", "Rows that group commits wrote.", "log")
COMMIT_FAILURES = _counter("commit_failures", "Group commits that failed; nobody was answered.", "log")
FEEDBACK = _counter("feedback", "True outcomes told one by one, by what became of them.", "code")
HTTP_REQUESTS = _counter(
    "http_requests",
    "Requests to the control plane by the route's name, method and HTTP status.",
    "route",
    "method",
    "status",
)
HTTP_LATENCY = _histogram(
    "http_request_duration_seconds", "What a request to the control plane took.", LATENCY_S, "route", "method"
)
STEPS = _counter("job_steps", "Steps of background jobs: done, failed, or left to another worker.", "kind", "outcome")
STEP_LATENCY = _histogram("job_step_duration_seconds", "What a step of a background job took.", STEP_S, "kind")
QUEUE_ROWS = _gauge("queue_rows", "Rows that wait for an algorithm or are being answered, in one process.")
LONGEST_QUEUE_ROWS = _gauge("longest_queue_rows", "The same, of the algorithm that has most of them.")
QUEUE_LIMIT_ROWS = _gauge("queue_limit_rows", "How many rows one algorithm's queue holds; what comes on top is shed.")
COMMIT_QUEUE_ROWS = _gauge("commit_queue_rows", "Rows that wait for their commit or are being committed.")
COMMIT_AGE = _gauge("commit_age_seconds", "For how long the commit under way has been; 0 when none is.")
KNOWN_REVISION = _gauge("known_revision", "The latest revision of the registry that a process has read.")
SERVED_REVISION = _gauge("served_revision", "The latest revision of which a process has loaded everything live.")

TABLE: Final[Mapping[str, Family]] = {
    family.name: family for family in list(vars().values()) if isinstance(family, Family)
}


def method(name: str) -> str:
    """`name` of an HTTP method as a label's value; what a client has made up is `other`."""
    return name if name in METHODS else "other"
