"""Every error of the control plane in the one shape of `wire.replies`, whoever raised it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import uuid_utils.compat
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.base import File
from django.db import InterfaceError, OperationalError, connections
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions as drf
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline import errors
from ml_pipeline.wire import log_lines, replies, strict_json

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
        case RequestDataTooBig() | TooManyFieldsSent() | TooManyFilesSent():
            return _too_much(exception)
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


def _too_much(exception: Exception) -> errors.MLPipelineError:
    if isinstance(exception, TooManyFieldsSent):
        return errors.MalformedInput(f"The form has more than {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} fields.")
    if isinstance(exception, TooManyFilesSent):
        return errors.MalformedInput(f"The form has more than {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files.")
    # The doors bound the body itself: this is what a form has beside its files, or a file without a name.
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    message = f"The form's fields that are no files are larger than {limit // 1_000_000} MB; a file needs a name."
    return errors.BodyTooLarge(message, {"limit_bytes": limit})


def _given(context: dict[str, Any]) -> Any:
    request = context.get("request")
    if request is None:
        return None
    return request.query_params if request.method == "GET" else request.data


# What a serializer expected: by how its sentence begins, where the code of its complaint says too little, else by the
# code. Our own say it in their sentence.
_EXPECTED_BY_SENTENCE = {
    "Not a valid string": "text",
    "Must be a valid UUID": "a UUID",
    "Enter a number": "a number",
    "The submitted data was not a file": "a file",
    "Invalid data. Expected a dictionary": "an object",
    "Expected a list": "a list",
    "Select a valid choice. That choice": "the id of something that exists",
}
_EXPECTED = {
    "required": "a value",
    "null": "a value other than null",
    "blank": "text that is not blank",
    "does_not_exist": "the id of something that exists",
    "incorrect_type": "an id",
    "invalid_choice": "one of the values that the documentation lists",
    "unknown_field": "a field of this route",
    "empty": "a file that is not empty",
    "no_name": "a file with a name",
    "null_characters_not_allowed": "text without NUL",
    "surrogate_characters_not_allowed": "text without lone surrogates",
}
_SHOWN = 100
# A field that did not come.
_NOTHING = object()


def _invalid(detail: Any, data: Any) -> errors.InvalidInput:
    return errors.InvalidInput(list(_complaints(detail, data, None)))


def _complaints(detail: Any, data: Any, field: str | None) -> Iterator[errors.Complaint]:
    # Of what is within a field, too: `arms[1].weight`.
    if isinstance(detail, list):
        for fact in detail:
            yield from _complaints(fact, data, field)
    elif isinstance(detail, dict):
        for name, facts in detail.items():
            if name == "non_field_errors":
                yield from _complaints(facts, data, field)
            elif isinstance(name, int):
                yield from _complaints(facts, _part(data, name), f"{field or ''}[{name}]")
            else:
                yield from _complaints(facts, _part(data, name), f"{field}.{name}" if field else str(name))
    else:
        yield errors.Complaint(None, field, _expected(detail), _got(data))


def _part(data: Any, name: Any) -> Any:
    is_there = name < len(data) if isinstance(data, list) else isinstance(data, Mapping) and name in data
    return data[name] if is_there else _NOTHING


def _expected(fact: Any) -> str:
    sentence = str(fact)
    for begins, expected in _EXPECTED_BY_SENTENCE.items():
        if sentence.startswith(begins):
            return expected
    code = getattr(fact, "code", "")
    if code == "max_length" and (number := re.search(r"\d+", sentence)):
        return f"at most {int(number[0]):,} characters"
    return _EXPECTED.get(code, sentence.rstrip("."))


def _got(value: Any) -> str:
    if value is _NOTHING:
        return "nothing"
    if isinstance(value, File):
        return f"the file {strict_json.shown(value.name)}"
    # An artifact that came as text, perhaps: its first characters tell nobody anything.
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{len(value):,} characters"
    return strict_json.shown(value)


class JSONUnlessAsked(DefaultContentNegotiation):
    """JSON for whoever accepts nothing we have: an error in the wrong format still beats an empty 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """The renderer and its media type."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except drf.NotAcceptable:
            return renderers[0], renderers[0].media_type

    def filter_renderers(self, renderers: Any, format: str) -> Any:  # its name there
        """The renderers of that format. Raises InvalidInput where there is none."""
        known = sorted({one.format for one in renderers})
        if format not in known:
            raise errors.InvalidInput([errors.Complaint(None, "format", f"one of {', '.join(known)}", _got(format))])
        return super().filter_renderers(renderers, format)


def unforeseen(error: BaseException | None) -> HttpResponse:
    """The reply to what nobody foresaw: an id, under which the log has it."""
    # That of the request, where this answers one.
    request_id = log_lines.known("request_id") or str(uuid_utils.compat.uuid7())
    about = {log_lines.ABOUT: {"request_id": request_id}}
    logger.error("request %s failed in a way nobody foresaw", request_id, exc_info=error, extra=about)
    return JsonResponse(replies.body_of(RuntimeError(), request_id=request_id), status=replies.INTERNAL.status)


def page(error: Exception) -> HttpResponse:
    """`error` for a request that no view took: the same JSON as everywhere."""
    reply = replies.reply_to(error)
    return JsonResponse(replies.body_of(error), status=reply.status, headers=replies.headers_of(error))


def written_page(request: HttpRequest, error: errors.MLPipelineError, template: str) -> HttpResponse:
    """`error` for a person in a browser: `template`, which is given its `message`."""
    reply = replies.reply_to(error)
    written = render(request, template, {"message": error.message}, status=reply.status)
    for name, value in replies.headers_of(error).items():
        written.headers[name] = value
    return written
