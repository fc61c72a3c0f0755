"""One exchange: a request as any door hands it over, the reply as any door can send it. Knows HTTP, and no server.

What it answers: `POST /api/v1/{endpoint}/predict`, also with `{endpoint}@{alias}`, plain feedback on a single request
by whoever has a key for it, `/healthz`, `/readyz`, `/metrics`. All else is Django's.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import uuid_utils.compat
from django.conf import settings

from ml_pipeline.apps.accounts import keys, quotas
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import names
from ml_pipeline.apps.predictions import measures
from ml_pipeline.apps.predictions.calls import Answerable, Question, Waiter
from ml_pipeline.apps.predictions.doors import heads, questions, scrapes, spans
from ml_pipeline.apps.predictions.doors.bodies import JSON, EncodedBody
from ml_pipeline.apps.predictions.doors.heads import MAX_BODY_BYTES, MAX_STRANGERS_BYTES, Head
from ml_pipeline.apps.predictions.doors.scrapes import Scrape, Scrapes
from ml_pipeline.apps.predictions.doors.uploads import Spool, Uploads
from ml_pipeline.apps.predictions.outcomes import Outcome
from ml_pipeline.apps.predictions.service import PredictionService
from ml_pipeline.errors import AlgorithmFailed, AlgorithmNotReady, BodyTooLarge, MethodNotAllowed, MLPipelineError
from ml_pipeline.metrics.traces import traces
from ml_pipeline.wire import log_lines, replies

logger = logging.getLogger(__name__)

# Where larger bodies are for another route, which it names.
ADVICE = {"/api/v1/batch-predict": "Send a larger file to /api/v1/batches."}
HEALTH_PATHS = ("/healthz", "/readyz")
# Whoever asks has nothing to say, and no key.
MAX_HEALTH_BYTES = 1_000
# A larger body is not looked at for being plain, since that is done where others wait.
MAX_PLAIN_BYTES = 10_000
_PREDICT = re.compile(r"/api/v1/([^/]+)/predict")
_REQUEST = re.compile(r"/api/v1/mlrequests/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Reply(NamedTuple):
    """A reply as any door can send it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Health(NamedTuple):
    """A health check that may be made."""

    path: str
    limit_bytes: int = MAX_HEALTH_BYTES


class Asked(NamedTuple):
    """A prediction that may be asked for, its body still unread; `alias` is None where none is named."""

    head: Head
    grant: Grant
    endpoint: str
    alias: str | None
    limit_bytes: int = MAX_BODY_BYTES
    # When it came, on the monotonic clock; where traces are told.
    since: float = 0.0

    def question(self) -> Question:
        """What is asked. Raises MalformedInput, UnknownParameter and InvalidInput."""
        return questions.asked(self.endpoint, self.alias, self.head)


class Telling(NamedTuple):
    """Feedback on a single request that may be given, its body still unread."""

    head: Head
    grant: Grant
    request_id: UUID
    limit_bytes: int = MAX_BODY_BYTES
    since: float = 0.0

    def value(self, body: bytes) -> Any:
        """The outcome told; NOT_PLAIN where the body is anything but `feedback` and a value, which Django judges."""
        if len(body) > MAX_PLAIN_BYTES:
            return NOT_PLAIN
        try:
            given = EncodedBody.of(self.head, body).value()
        except MLPipelineError:
            return NOT_PLAIN
        return given["feedback"] if isinstance(given, dict) and list(given) == ["feedback"] else NOT_PLAIN


NOT_PLAIN = object()


class Elsewhere(NamedTuple):
    """A request that is Django's; its body is bounded here. That of one of `uploads` goes through a file, not through
    memory."""

    limit_bytes: int = MAX_BODY_BYTES
    uploads: Uploads | None = None
    # It came without a key that is known here: with a session, which Django judges, or with nothing.
    is_strangers: bool = False


class Exchange:
    """Answers data-plane requests with `service`; `uploads` are the routes, by path, to which larger bodies may go."""

    def __init__(
        self, service: PredictionService, spool: Spool, uploads: Mapping[str, Uploads], scrapes_: Scrapes
    ) -> None:
        self.service, self._scrapes = service, scrapes_
        self.spool = spool
        self._uploads = uploads

    def admit(self, head: Head) -> Asked | Telling | Health | Scrape | Elsewhere:
        """The data-plane request of `head`, judged before a byte of its body is read; Elsewhere when it is Django's.

        Raises MalformedInput and BodyTooLarge for any path, else Unauthenticated, Forbidden, QuotaExceeded,
        MethodNotAllowed.
        """
        if head.path in HEALTH_PATHS:
            _refuse_method(head.method, ("GET", "HEAD"))
            heads.check_length(head, MAX_HEALTH_BYTES)
            return Health(head.path)
        if head.path == scrapes.PATH:
            return self._scrape(head)
        match = _PREDICT.fullmatch(head.path)
        if match is None or match[1] in names.RESERVED:
            other = self._telling(head) or self._elsewhere(head)
            heads.check_length(head, other.limit_bytes if isinstance(other, Elsewhere) else MAX_BODY_BYTES)
            return other
        grant = self.service.authorise(_secret(head), "predict")
        quotas.meter.admit(grant.quotas)
        _refuse_method(head.method, ("POST",))
        heads.check_length(head)
        endpoint, at, alias = match[1].partition("@")
        return Asked(head, grant, endpoint, alias if at else None, since=_since())

    def _scrape(self, head: Head) -> Scrape:
        grant = self.service.authorise(_secret(head), "read")
        quotas.meter.admit(grant.quotas)
        _refuse_method(head.method, ("GET", "HEAD"))
        heads.check_length(head, scrapes.MAX_BODY_BYTES)
        questions.refuse_parameters(head)
        return Scrape(head, grant)

    def _telling(self, head: Head) -> Telling | None:
        match = _REQUEST.fullmatch(head.path)
        if match is None or head.method not in ("PUT", "PATCH") or head.query:
            return None
        # Whoever may not is told so by Django.
        try:
            return Telling(head, self.service.authorise(_secret(head), "feedback"), UUID(match[1]), since=_since())
        except MLPipelineError:
            return None

    def _elsewhere(self, head: Head) -> Elsewhere:
        secret = _secret(head)
        try:
            grant = self.service.granted(secret)
        except MLPipelineError:
            # A key that was made a moment ago is known to Django alone, so what is short is judged there.
            if secret is not None and not heads.is_at_most(head, MAX_STRANGERS_BYTES):
                raise
            return Elsewhere(MAX_BODY_BYTES if _has_session(head) else MAX_STRANGERS_BYTES, is_strangers=True)
        # A large body is read only for a key that may upload. Whoever has another is judged by Django.
        uploads = self._uploads.get(head.path) if head.method == "POST" else None
        if uploads is not None and grant.allows(uploads.scope):
            return Elsewhere(max(uploads.limit_bytes, MAX_BODY_BYTES), uploads)
        return Elsewhere()

    def begin(self, asked: Asked, question: Question, body: bytes, waiter: Waiter, since: float) -> Answerable:
        """The call, under way (see the service). Raises what it raises."""
        return self.service.begin(asked.grant, question, EncodedBody.of(asked.head, body), waiter, since)

    def tell(self, telling: Telling, value: Any, waiter: Waiter) -> Outcome:
        """The outcome, on its way into the database. Raises QuotaExceeded."""
        quotas.meter.admit(telling.grant.quotas)
        return self.service.tell(telling.grant, telling.request_id, value, waiter)

    def health(self, health: Health) -> Reply:
        """The reply to a health check; readiness asks the database."""
        if health.path == "/healthz":
            return json_reply(200, {"status": "ok"})
        readiness = self.service.readiness()
        reply = json_reply(200 if readiness["ready"] else 503, readiness)
        if not readiness["ready"]:
            reply.headers.update(replies.headers_of(AlgorithmNotReady("")))
        return reply

    def scraped(self, scrape: Scrape) -> Reply:
        """The reply to a request for the metrics; asks the database."""
        text = self._scrapes.text(scrape, self.service)
        return _reply(200, text.body, text.content_type)


def finished(asked: Asked, call: Answerable) -> Reply:
    """The reply to a finished call."""
    reply = error_reply(call.error) if call.error is not None else _reply(200, call.reply)
    if traces.is_on:
        spans.tell(asked.head, spans.PREDICT, reply.status, asked.since, call=call)
    return reply


def told(telling: Telling, outcome: Outcome) -> Reply:
    """The reply to a finished telling. Raises what refused it."""
    reply = json_reply(200, outcome.reply())
    measures.told(None)
    if traces.is_on:
        spans.tell(telling.head, spans.FEEDBACK, reply.status, telling.since)
    return reply


def failed(admitted: Asked | Telling | Health | Scrape, error: Exception) -> Reply:
    """The reply to what was admitted and then refused, or failed in a way nobody foresaw, logged under its id."""
    if isinstance(admitted, Asked):
        measures.refused(error)
        if traces.is_on:
            spans.tell(admitted.head, spans.PREDICT, replies.reply_to(error).status, admitted.since, error=error)
    elif isinstance(admitted, Telling):
        measures.told(error)
        if traces.is_on:
            spans.tell(admitted.head, spans.FEEDBACK, replies.reply_to(error).status, admitted.since, error=error)
    if isinstance(error, MLPipelineError):
        return error_reply(error)
    request_id = str(uuid_utils.compat.uuid7())
    about = {log_lines.ABOUT: {"request_id": request_id}}
    logger.error("request %s failed in a way nobody foresaw", request_id, exc_info=error, extra=about)
    return error_reply(error, request_id=request_id)


def error_reply(error: Exception, *, request_id: str | None = None) -> Reply:
    """The reply that tells of `error`; of an internal failure only the id under which it is logged."""
    if isinstance(error, AlgorithmFailed) and error.details:
        request_id = error.details["request_id"]
    reply = json_reply(replies.reply_to(error).status, replies.body_of(error, request_id=request_id))
    reply.headers.update(replies.headers_of(error))
    return reply


def refusal(head: Head, error: MLPipelineError) -> Reply:
    """The reply to a request that is refused before Django sees it."""
    if is_prediction(head.path):
        measures.refused(error)
        if traces.is_on:
            spans.tell(head, spans.PREDICT, replies.reply_to(error).status, 0.0, error=error)
    elif head.path != scrapes.PATH and head.path not in HEALTH_PATHS:
        measures.turned_away(head.method, replies.reply_to(error).status)
    if isinstance(error, BodyTooLarge) and head.path in ADVICE:
        error = BodyTooLarge(f"{error.message} {ADVICE[head.path]}", error.details)
    return error_reply(error)


def json_reply(status: int, value: Any) -> Reply:
    """`value` as a JSON reply."""
    return _reply(status, json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def is_prediction(path: str) -> bool:
    """Whether predictions are asked for at `path`."""
    match = _PREDICT.fullmatch(path)
    return match is not None and match[1] not in names.RESERVED


def _reply(status: int, body: bytes, content_type: str = JSON) -> Reply:
    # Nobody takes JSON for a page, whoever wrote the values in it.
    headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff", "Content-Length": str(len(body))}
    return Reply(status, headers, body)


def _since() -> float:
    return time.monotonic() if traces.is_on else 0.0


def _secret(head: Head) -> str | None:
    return keys.presented(head.header(b"authorization"), head.header(b"x-api-key"))


def _has_session(head: Head) -> bool:
    cookies = head.header(b"cookie") or ""
    return any(cookie.strip().startswith(f"{settings.SESSION_COOKIE_NAME}=") for cookie in cookies.split(";"))


def _refuse_method(method: str, allowed: tuple[str, ...]) -> None:
    if method not in allowed:
        raise MethodNotAllowed(f"This route answers {', '.join(allowed)}.", {"allowed": list(allowed)})
