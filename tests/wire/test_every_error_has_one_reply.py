"""One table maps every error to its code, status and headers, as the contracts list them."""

from __future__ import annotations

import inspect
import json

import pytest

from ml_pipeline import errors
from ml_pipeline.wire import replies

# The contracts' list; what no error of the product can cause yet stands apart below.
CONTRACT = {
    "malformed": 400,
    "unknown_parameter": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "ambiguous": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_input": 422,
    "invalid_artifact": 422,
    "quota_exceeded": 429,
    "internal": 500,
    "overloaded": 503,
    "not_ready": 503,
    "journal_unavailable": 503,
    "deadline_exceeded": 504,
}
LATER = {"in_flight": 409, "idempotency_mismatch": 422}

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.MLPipelineError) and kind is not errors.MLPipelineError
]


def made(kind: type[errors.MLPipelineError]) -> errors.MLPipelineError:
    if kind is errors.InvalidInput:
        return errors.InvalidInput([errors.Complaint(0, "age", "an integer", '"old"')])
    if kind is errors.MethodNotAllowed:
        return kind("Not so.", {"allowed": ["GET", "POST"]})
    if kind is errors.TooManyTries:
        return kind("Not so.", retry_after_s=600)
    if kind is errors.QuotaExceeded:
        return kind("Not so.", {"some": "data"}, retry_after_s=1)
    return kind("Not so.", {"some": "data"})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_has_a_row_and_says_what_it_is(kind: type[errors.MLPipelineError]) -> None:
    assert kind in replies.TABLE
    assert kind.__doc__
    reply = replies.reply_to(made(kind))
    assert {**CONTRACT, **LATER}[reply.code] == reply.status


def test_the_table_holds_the_codes_of_the_contracts_and_no_others() -> None:
    held = {reply.code: reply.status for reply in replies.TABLE.values()}
    assert CONTRACT.items() <= held.items()
    assert held.items() <= {**CONTRACT, **LATER}.items()
    assert set(replies.TABLE) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_client_is_told_when_to_come_back_whenever_that_helps(kind: type[errors.MLPipelineError]) -> None:
    status = replies.reply_to(made(kind)).status
    retry_after = replies.headers_of(made(kind)).get("Retry-After")
    if status == 503:
        assert retry_after is not None
        assert int(retry_after) >= 1
    else:
        assert retry_after is None or status == 429


def test_other_headers_that_http_demands() -> None:
    assert replies.headers_of(made(errors.MethodNotAllowed)) == {"Allow": "GET, POST"}
    assert replies.headers_of(made(errors.Unauthenticated))["WWW-Authenticate"].startswith("Bearer ")
    assert replies.headers_of(made(errors.NotFound)) == {}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_body_has_one_shape(kind: type[errors.MLPipelineError]) -> None:
    body = json.loads(json.dumps(replies.body_of(made(kind))))
    assert list(body) == ["error"]
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == replies.reply_to(made(kind)).code
    assert body["error"]["message"]


def test_invalid_input_names_row_and_field() -> None:
    first = errors.Complaint(3, "age", "an integer", '"old"')
    second = errors.Complaint(4, None, "an object", "7")
    error = replies.body_of(errors.InvalidInput([first, second]))["error"]
    assert error["details"] == [
        {"row": 3, "field": "age", "expected": "an integer", "got": '"old"'},
        {"row": 4, "field": None, "expected": "an object", "got": "7"},
    ]
    assert error["message"] == "row 3, field 'age': expected an integer, got \"old\" (and 1 more)"


def test_of_an_unforeseen_exception_nothing_is_told() -> None:
    error = KeyError("a secret")
    assert replies.reply_to(error) == (500, "internal", None)
    assert "secret" not in json.dumps(replies.body_of(error))
    assert replies.headers_of(error) == {}
