"""Traces: what OpenTelemetry is told of requests, where somebody collects it. Needs the extra `otel`.

Nothing is imported, and nothing measured, unless OTEL_EXPORTER_OTLP_ENDPOINT, or that for traces alone, is set. All
else is OpenTelemetry's own environment too: headers, sampler, the service's name. Spans are made when a request is
over, from the moments that are known by then, so that nobody waits for them; a thread of OpenTelemetry's sends them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ml_pipeline import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Of a text that a client has sent.
MOST_TEXT = 200


class Part(NamedTuple):
    """Something within a request: its name, and when it began and ended, on the monotonic clock."""

    name: str
    begun: float
    ended: float


class Traces:
    """Tells of requests, from `begin` on, where it is asked for."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None
        self.is_on = False
        os.register_at_fork(after_in_child=self._stop)

    def _stop(self) -> None:
        # The thread that sends is the parent's.
        self._tracer, self.is_on = None, False

    def begin(self) -> None:
        """It tells of requests from now on, where the environment names a collector; called again, nothing happens."""
        if self.is_on or not any(os.environ.get(name) for name in ENDPOINTS):
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            text = "%s is set, and no traces are sent: they need the extra otel: pip install 'ml-pipeline[server,otel]'"
            logger.warning(text, next(name for name in ENDPOINTS if os.environ.get(name)))
            return
        own = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "ml_pipeline"}
        provider = TracerProvider(resource=Resource.create({**own, "service.version": __version__}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer, self.is_on = provider.get_tracer("ml_pipeline", __version__), True

    def tell(
        self,
        method: str,
        route: str,
        status: int,
        begun: float,
        *,
        parent: Mapping[str, str],
        attributes: Mapping[str, str | int],
        parts: Sequence[Part] = (),
    ) -> None:
        """A request is over; it came at `begun`, monotonic. `parent` are its headers `traceparent` and `tracestate`."""
        if self._tracer is None:
            return
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        now, now_ns = time.monotonic(), time.time_ns()

        def at(moment: float) -> int:
            return now_ns - round((now - moment) * 1e9)

        told = {name: _short(value) for name, value in attributes.items()}
        span = self._tracer.start_span(
            f"{method} {route}".rstrip(),
            TraceContextTextMapPropagator().extract(parent),
            SpanKind.SERVER,
            {"http.request.method": method, "http.route": route, "http.response.status_code": status, **told},
            start_time=at(begun),
        )
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        within = set_span_in_context(span)
        for part in parts:
            self._tracer.start_span(part.name, within, start_time=at(part.begun)).end(at(part.ended))
        span.end(now_ns)


def parent_of(traceparent: str | None, tracestate: str | None) -> dict[str, str]:
    """Of a request's headers those that say of whose trace it is part."""
    given = {"traceparent": traceparent, "tracestate": tracestate}
    return {name: value for name, value in given.items() if value}


def _short(value: str | int) -> str | int:
    return value[:MOST_TEXT] if isinstance(value, str) else value


traces = Traces()
