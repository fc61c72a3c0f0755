"""Spans: what traces are told of requests for predictions and of feedback, whatever became of them."""

from __future__ import annotations

import time

from ml_pipeline.apps.predictions.calls import Answerable
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.metrics import families, traces
from ml_pipeline.wire import replies

PREDICT, FEEDBACK = "/api/v1/{endpoint}/predict", "/api/v1/mlrequests/{id}"


def tell(
    head: Head,
    route: str,
    status: int,
    since: float,
    *,
    call: Answerable | None = None,
    error: Exception | None = None,
) -> None:
    """The request of `head` to that route is over; it came at `since`, on the monotonic clock, if that is known."""
    about: dict[str, str | int] = {"url.path": head.path}
    if call is not None:
        its = call.route
        names = {"endpoint": its.endpoint, "algorithm": its.name, "version": its.version}
        about |= {f"ml_pipeline.{name}": value for name, value in names.items()} | {"ml_pipeline.rows": call.size}
        error = call.error
    if error is not None:
        code = replies.reply_to(error).code if isinstance(error, MLPipelineError) else replies.INTERNAL.code
        about["error.type"] = code
    traces.traces.tell(
        families.method(head.method),
        route,
        status,
        since or time.monotonic(),
        parent=traces.parent_of(head.header(b"traceparent"), head.header(b"tracestate")),
        attributes=about,
        parts=() if call is None else call.parts,
    )
