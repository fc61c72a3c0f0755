"""One exchange: a request as any door hands it over, the reply as any door can send it. Knows HTTP, and no server.

What it answers: `POST /api/v1/{endpoint}/predict`, also with `{endpoint}@{alias}`, `/healthz`, `/readyz`. All else is
Django's.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import uuid_utils.compat

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.endpoints import names
from ml_pipeline.apps.endpoints.models import Status
from ml_pipeline.apps.predictions.calls import Question
from ml_pipeline.apps.predictions.doors.uploads import Uploads
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.apps.predictions.service import Payload, PredictionService
from ml_pipeline.errors import (
    AlgorithmFailed,
    AlgorithmNotReady,
    BodyTooLarge,
    Complaint,
    InvalidInput,
    MalformedInput,
    MethodNotAllowed,
    MLPipelineError,
    UnknownParameter,
    UnsupportedMediaType,
)
from ml_pipeline.wire import forms, replies, strict_json

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 10_000_000
# The one route of the control plane that takes more, from whoever has a key to use it.
UPLOAD_PATH, UPLOAD_SCOPE = "/api/v1/mlalgorithms", "manage"
PARAMETERS = ("algorithm", "probabilities", "status", "unit", "version")
MAX_UNIT = 255
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
HEALTH_PATHS = ("/healthz", "/readyz")
_PREDICT = re.compile(r"/api/v1/([^/]+)/predict")


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. Header names are lower-case; `query` is still percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def content_length(self) -> int | None:
        """The announced length in bytes, or None. Raises MalformedInput."""
        text = self.headers.get("content-length")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise MalformedInput("Content-Length is not a number.")
        return int(text)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be made, its body still unread; `grant` and `endpoint` are None for health checks.

    `alias` is None where none is asked for.
    """

    head: Head
    grant: Grant | None = None
    endpoint: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as any door can send it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _EncodedBody:
    content: bytes
    content_type: str
    content_encoding: str

    def decode(self) -> Payload:
        media_type, _, parameters = self.content_type.partition(";")
        media_type = media_type.strip().lower() or JSON
        charset = re.search(r'charset="?([\w-]+)', parameters.lower())
        if self.content_encoding not in ("", "identity"):
            raise UnsupportedMediaType(f"The body is {self.content_encoding[:40]}-encoded; send it as it is.")
        if media_type not in (JSON, FORM) or (charset and charset[1] not in ("utf-8", "utf8", "us-ascii")):
            raise UnsupportedMediaType(f"This route reads {JSON} and {FORM}, in UTF-8.")
        if media_type == FORM:
            return Payload([forms.loads(self.content)], listed=False, coerce=True)
        value = strict_json.loads(self.content)
        return Payload(value, listed=True, coerce=False) if isinstance(value, list) else Payload([value], False, False)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A request that is Django's; its body is bounded here. An upload's goes through a file, not through memory."""

    limit_bytes: int = MAX_BODY_BYTES
    is_upload: bool = False


def check_length(head: Head, limit_bytes: int = MAX_BODY_BYTES) -> None:
    """Raises BodyTooLarge when the announced body is over the limit: decided before it is read."""
    length = head.content_length
    if length is not None and length > limit_bytes:
        raise too_large(limit_bytes)


def too_large(limit_bytes: int = MAX_BODY_BYTES) -> BodyTooLarge:
    """The refusal of a body over the limit."""
    return BodyTooLarge(f"The body is larger than {limit_bytes // 1_000_000} MB.", {"limit_bytes": limit_bytes})


class Exchange:
    """Answers data-plane requests with `service`; a body that is one of `uploads` may have `upload_bytes`."""

    def __init__(self, service: PredictionService, uploads: Uploads, *, upload_bytes: int) -> None:
        self.service = service
        self.uploads = uploads
        self._upload_bytes = upload_bytes

    def admit(self, head: Head) -> Admitted | Elsewhere:
        """The data-plane request of `head`, judged before a byte of its body is read; Elsewhere when it is Django's.

        Raises MalformedInput and BodyTooLarge for any path, else Unauthenticated, Forbidden, MethodNotAllowed.
        """
        if head.path in HEALTH_PATHS:
            _refuse_method(head.method, ("GET", "HEAD"))
            check_length(head)
            return Admitted(head)
        match = _PREDICT.fullmatch(head.path)
        if match is None or match[1] in names.RESERVED:
            elsewhere = self._elsewhere(head)
            check_length(head, elsewhere.limit_bytes)
            return elsewhere
        secret = keys.presented(head.headers.get("authorization"), head.headers.get("x-api-key"))
        grant = self.service.authorise(secret, "predict")
        _refuse_method(head.method, ("POST",))
        check_length(head)
        endpoint, at, alias = match[1].partition("@")
        return Admitted(head, grant, endpoint, alias if at else None)

    def _elsewhere(self, head: Head) -> Elsewhere:
        if head.path != UPLOAD_PATH or head.method != "POST":
            return Elsewhere()
        # A large body is read only for a key that may upload. Whoever has another, or a session, is judged by Django.
        secret = keys.presented(head.headers.get("authorization"), head.headers.get("x-api-key"))
        try:
            self.service.authorise(secret, UPLOAD_SCOPE)
        except MLPipelineError:
            return Elsewhere()
        return Elsewhere(max(self._upload_bytes, MAX_BODY_BYTES), is_upload=True)

    def slow_algorithm(self, admitted: Admitted) -> int | None:
        """The id of the algorithm that would answer, where others must not wait for it (see the service)."""
        if admitted.endpoint is None:
            return None
        try:
            return self.service.slow_algorithm(_question(admitted.endpoint, admitted.alias, admitted.head))
        except MLPipelineError:
            return None

    def answer(self, admitted: Admitted, body: bytes) -> Reply:
        """The reply to an admitted request. The outermost edge of both doors: every failure is a reply too."""
        try:
            return self._answer(admitted, body)
        except MLPipelineError as error:
            return error_reply(error)
        except Exception as error:
            request_id = str(uuid_utils.compat.uuid7())
            logger.exception("request %s failed in a way nobody foresaw", request_id)
            return error_reply(error, request_id=request_id)

    def _answer(self, admitted: Admitted, body: bytes) -> Reply:
        head = admitted.head
        if admitted.grant is None or admitted.endpoint is None:
            return self._health(head.path)
        encoded = _EncodedBody(
            body, head.headers.get("content-type", ""), head.headers.get("content-encoding", "").strip().lower()
        )
        question = _question(admitted.endpoint, admitted.alias, head)
        return json_reply(200, self.service.predict(admitted.grant, question, encoded))

    def _health(self, path: str) -> Reply:
        if path == "/healthz":
            return json_reply(200, {"status": "ok"})
        readiness = self.service.readiness()
        reply = json_reply(200 if readiness["ready"] else 503, readiness)
        if not readiness["ready"]:
            reply.headers.update(replies.headers_of(AlgorithmNotReady("")))
        return reply


def error_reply(error: Exception, *, request_id: str | None = None) -> Reply:
    """The reply that tells of `error`; of an internal failure only the id under which it is logged."""
    if isinstance(error, AlgorithmFailed) and error.details:
        request_id = error.details["request_id"]
    reply = json_reply(replies.reply_to(error).status, replies.body_of(error, request_id=request_id))
    reply.headers.update(replies.headers_of(error))
    return reply


def json_reply(status: int, value: Any) -> Reply:
    """`value` as a JSON reply."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return Reply(status, {"Content-Type": JSON, "Content-Length": str(len(body))}, body)


def _refuse_method(method: str, allowed: tuple[str, ...]) -> None:
    if method not in allowed:
        raise MethodNotAllowed(f"This route answers {', '.join(allowed)}.", {"allowed": list(allowed)})


def _question(endpoint: str, alias: str | None, head: Head) -> Question:
    given = _parameters(head.query)
    status = given.get("status")
    if status is not None and status not in Status.values:
        raise InvalidInput([Complaint(None, "status", f"one of {', '.join(Status.values)}", repr(status[:40]))])
    wanted = given.get("probabilities", "0")
    if wanted not in ("0", "1"):
        raise InvalidInput([Complaint(None, "probabilities", "0 or 1", repr(wanted[:40]))])
    return Question(
        endpoint=endpoint,
        selection=Selection(given.get("algorithm"), given.get("version"), status, alias),
        unit=_unit(given.get("unit") or head.headers.get("x-unit")),
        probabilities=wanted == "1",
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise MalformedInput("The query is not name=value pairs in percent-encoded UTF-8.") from None
    given = dict(pairs)
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise UnknownParameter(
            f"Unknown query parameter {unknown[0][:100]!r}; this route knows: {', '.join(PARAMETERS)}.",
            {"unknown": [name[:100] for name in unknown], "known": list(PARAMETERS)},
        )
    if len(given) != len(pairs):
        raise MalformedInput("A query parameter appears twice.")
    return given


def _unit(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > MAX_UNIT or not text.isprintable():
        raise InvalidInput([Complaint(None, "unit", f"at most {MAX_UNIT} printable characters", repr(text[:40]))])
    return text
