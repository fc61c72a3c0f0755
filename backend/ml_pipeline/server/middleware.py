"""What stands between the doors and Django's views."""

from __future__ import annotations

import time
from collections.abc import Callable

import uuid_utils.compat
from django.http import HttpRequest, HttpResponse

from ml_pipeline.apps.events import audit
from ml_pipeline.errors import TooManyTries
from ml_pipeline.metrics import families, traces
from ml_pipeline.metrics.recorder import recorder
from ml_pipeline.rest import addresses, exceptions
from ml_pipeline.wire import log_lines

# Scripts come from files of ours alone. Styles may stand in the page: DRF's, the admin's and Swagger UI's do.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
GetResponse = Callable[[HttpRequest], HttpResponse]


def accounted(get_response: GetResponse) -> GetResponse:
    """Every request is counted under its route's name, and has an id: in its lines of the log, and in its reply.

    First of all, so that what the others refuse is counted too.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        begun, request_id = time.monotonic(), str(uuid_utils.compat.uuid7())
        with log_lines.about(request_id=request_id):
            reply = get_response(request)
        match, method = request.resolver_match, families.method(str(request.method))
        route = match.view_name if match is not None else ""
        recorder.add(families.HTTP_REQUESTS, route, method, str(reply.status_code))
        recorder.observe(families.HTTP_LATENCY, time.monotonic() - begun, route, method)
        if traces.traces.is_on:
            address = f"/{match.route}" if match is not None else ""
            parent = traces.parent_of(request.headers.get("traceparent"), request.headers.get("tracestate"))
            about = {"url.path": request.path, "ml_pipeline.request_id": request_id}
            traces.traces.tell(method, address, reply.status_code, begun, parent=parent, attributes=about)
        reply.headers["X-Request-Id"] = request_id
        return reply

    return answer


def trusted_headers(get_response: GetResponse) -> GetResponse:
    """That the client came by https is taken from a trusted proxy alone."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not addresses.comes_through_proxy(request):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return get_response(request)

    return answer


def page_headers(get_response: GetResponse) -> GetResponse:
    """Every reply says what a browser may do with it: run our own scripts, show our own pages, and nothing else."""

    def answer(request: HttpRequest) -> HttpResponse:
        reply = get_response(request)
        reply.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        reply.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        return reply

    return answer


def addressed(get_response: GetResponse) -> GetResponse:
    """What is changed while a request is answered is recorded with its client's address."""

    def answer(request: HttpRequest) -> HttpResponse:
        with audit.coming_from(addresses.client_address(request)):
            return get_response(request)

    return answer


class RefusedTries:
    """Tells whoever tried to log in too often, on any page: in HTML for a browser, else in the shape of errors."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The reply of the views."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The reply to TooManyTries; None for all else."""
        if not isinstance(exception, TooManyTries):
            return None
        if request.get_preferred_type(["text/html", "application/json"]) != "text/html":
            return exceptions.page(exception)
        return exceptions.written_page(request, exception, "too_many_tries.html")
