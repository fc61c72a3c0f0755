"""Every error of the control plane in the one shape of `wire.replies`, whoever raised it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import uuid_utils.compat
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError, connections
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions as drf
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline import errors
from ml_pipeline.wire import replies, strict_json

logger = logging.getLogger(__name__)


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """The reply to `exception`; None for what nobody foresaw, which Django then logs and answers with 500."""
    error = translated(exception, context)
    if error is None:
        return None
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            connection.set_rollback(True)
    return Response(replies.body_of(error), status=replies.reply_to(error).status, headers=replies.headers_of(error))


def translated(exception: Exception, context: dict[str, Any]) -> errors.MLPipelineError | None:
    """`exception` as one of ours, or None when it is unforeseen."""
    match exception:
        case errors.MLPipelineError():
            return exception
        case drf.ValidationError():
            return _invalid(exception.detail, _given(context))
        case drf.ParseError():
            return errors.MalformedInput(str(exception.detail))
        case RequestDataTooBig():
            return errors.BodyTooLarge("The request body is too large.")
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return errors.Unauthenticated(replies.NO_KEY)
        case drf.PermissionDenied():
            return errors.Forbidden(str(exception.detail))
        case PermissionDenied():
            return errors.Forbidden("You may not do this.")
        case drf.NotFound() | Http404():
            return errors.NotFound("Nothing is here under this name.")
        case drf.MethodNotAllowed():
            allowed = context["view"].allowed_methods
            return errors.MethodNotAllowed(f"This route answers {', '.join(allowed)}.", {"allowed": allowed})
        case drf.UnsupportedMediaType():
            known = ", ".join(parser.media_type for parser in context["view"].get_parsers())
            return errors.UnsupportedMediaType(f"This route reads {known}.")
        case OperationalError() | InterfaceError():
            logger.error("the database does not answer: %s", exception)
            return errors.DatabaseUnavailable("The database does not answer; nothing was changed.")
    return None


def _given(context: dict[str, Any]) -> Any:
    request = context.get("request")
    if request is None:
        return None
    return request.query_params if request.method == "GET" else request.data


# What a serializer expected, by the code of its complaint. Others, and our own, say it in their sentence.
_EXPECTED = {
    "required": "a value",
    "null": "a value other than null",
    "blank": "text that is not blank",
    "does_not_exist": "the id of something that exists",
    "incorrect_type": "an id",
    "invalid_choice": "one of the values that the documentation lists",
    "unknown_field": "a field of this route",
}


def _invalid(detail: Any, data: Any) -> errors.InvalidInput:
    complaints = []
    for name, facts in (detail if isinstance(detail, dict) else {"non_field_errors": detail}).items():
        field = None if name == "non_field_errors" else str(name)
        got = strict_json.shown(data[name]) if isinstance(data, Mapping) and name in data else "nothing"
        for fact in facts if isinstance(facts, list) else [facts]:
            expected = _EXPECTED.get(getattr(fact, "code", ""), str(fact).rstrip("."))
            complaints.append(errors.Complaint(None, field, expected, got))
    return errors.InvalidInput(complaints)


class JSONUnlessAsked(DefaultContentNegotiation):
    """JSON for whoever accepts nothing we have: an error in the wrong format still beats an empty 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """The renderer and its media type."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except drf.NotAcceptable:
            return renderers[0], renderers[0].media_type


def unforeseen(error: BaseException | None) -> HttpResponse:
    """The reply to what nobody foresaw: an id, under which the log has it."""
    request_id = str(uuid_utils.compat.uuid7())
    logger.error("request %s failed in a way nobody foresaw", request_id, exc_info=error)
    return JsonResponse(replies.body_of(RuntimeError(), request_id=request_id), status=replies.INTERNAL.status)


def page(error: Exception) -> HttpResponse:
    """`error` for a request that no view took: the same JSON as everywhere."""
    reply = replies.reply_to(error)
    return JsonResponse(replies.body_of(error), status=reply.status, headers=replies.headers_of(error))
