"""The one table from errors to replies: code, HTTP status and headers, the same on every route and door.

Imports no Django: the data plane's doors and the REST layer share it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ml_pipeline import errors


class ErrorReply(NamedTuple):
    """How a client is told of one kind of error; `retry_after_s`, or the error's own, is the Retry-After header."""

    status: int
    code: str
    retry_after_s: int | None = None


INTERNAL = ErrorReply(500, "internal")
NO_KEY = "Send an API key: Authorization: Bearer KEY, or X-Api-Key: KEY."

TABLE: dict[type[errors.MLPipelineError], ErrorReply] = {
    errors.MalformedInput: ErrorReply(400, "malformed"),
    errors.UnknownParameter: ErrorReply(400, "unknown_parameter"),
    errors.Unauthenticated: ErrorReply(401, "unauthenticated"),
    errors.Forbidden: ErrorReply(403, "forbidden"),
    errors.NotFound: ErrorReply(404, "not_found"),
    errors.MethodNotAllowed: ErrorReply(405, "method_not_allowed"),
    errors.Conflict: ErrorReply(409, "conflict"),
    errors.AmbiguousAlgorithm: ErrorReply(409, "ambiguous"),
    errors.BodyTooLarge: ErrorReply(413, "too_large"),
    errors.UnsupportedMediaType: ErrorReply(415, "unsupported_media_type"),
    errors.InvalidInput: ErrorReply(422, "invalid_input"),
    errors.InvalidArtifact: ErrorReply(422, "invalid_artifact"),
    errors.QuotaExceeded: ErrorReply(429, "quota_exceeded"),
    errors.TooManyTries: ErrorReply(429, "quota_exceeded"),
    errors.AlgorithmFailed: INTERNAL,
    errors.Overloaded: ErrorReply(503, "overloaded", retry_after_s=1),
    errors.AlgorithmNotReady: ErrorReply(503, "not_ready", retry_after_s=5),
    errors.AlgorithmCrashed: ErrorReply(503, "not_ready", retry_after_s=2),
    errors.ClusterUnavailable: ErrorReply(503, "not_ready", retry_after_s=5),
    errors.DatabaseUnavailable: ErrorReply(503, "not_ready", retry_after_s=5),
    errors.ProviderUnavailable: ErrorReply(503, "not_ready", retry_after_s=5),
    errors.JournalUnavailable: ErrorReply(503, "journal_unavailable", retry_after_s=1),
    errors.DeadlineExceeded: ErrorReply(504, "deadline_exceeded"),
}


def reply_to(error: Exception) -> ErrorReply:
    """Status and code for `error`, by its nearest class in the table; what is not in the table is `internal`."""
    return next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), INTERNAL)


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that go with `error`: Retry-After, Allow, WWW-Authenticate; often none."""
    reply = reply_to(error)
    headers: dict[str, str] = {}
    own: int | None = getattr(error, "retry_after_s", None)
    retry_after_s = own if own is not None else reply.retry_after_s
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if isinstance(error, errors.MethodNotAllowed) and error.details:
        headers["Allow"] = ", ".join(error.details["allowed"])
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="ml_pipeline"'
    return headers


def body_of(error: Exception, *, request_id: str | None = None) -> dict[str, Any]:
    """`{"error": {"code", "message", "details"}}`; of an internal failure nothing but `request_id` is told."""
    reply = reply_to(error)
    if reply is INTERNAL or not isinstance(error, errors.MLPipelineError):
        message = "The server failed on this request; the log has the failure under the request's id."
        return {"error": {"code": reply.code, "message": message, "details": {"request_id": request_id}}}
    return {"error": {"code": reply.code, "message": error.message, "details": error.details}}
