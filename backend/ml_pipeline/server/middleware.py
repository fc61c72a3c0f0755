"""Middleware of our own: the audit is told where a request comes from."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from ml_pipeline.apps.events import audit


def addressed(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What is changed while a request is answered is recorded with its client's address."""

    def answer(request: HttpRequest) -> HttpResponse:
        with audit.coming_from(str(request.META.get("REMOTE_ADDR", ""))):
            return get_response(request)

    return answer
