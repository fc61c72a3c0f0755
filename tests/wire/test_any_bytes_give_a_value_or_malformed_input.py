"""Whatever a client sends, the parsers answer with a value or with MalformedInput; good JSON comes back as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.errors import MalformedInput
from ml_pipeline.wire import forms, strict_json

repeatable = settings(derandomize=True, deadline=None, max_examples=300)

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
SCALARS = (
    some.none()
    | some.booleans()
    | some.integers(-(10**300), 10**300)
    | some.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner) | some.dictionaries(TEXT, inner), max_leaves=30)
# Bytes that come close to JSON: its tokens and its troublemakers in any order.
TOKENS = some.sampled_from(
    [
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b":",
            b",",
            b'"',
            b"\\",
            b"\\u",
            b"\\ud800",
            b"\\u0000",
            b"a",
            b"1",
            b"-",
            b".",
            b"e9",
        ),
        *(b"null", b"true", b"NaN", b"Infinity", b"\x00", b"\xff", b"\xef\xbb\xbf", b" ", b'"a":1', "é".encode()),
    ]
)
NEARLY_JSON = some.lists(TOKENS, max_size=30).map(b"".join)
NEARLY_FORMS = some.lists(
    some.sampled_from([b"a", b"=", b"&", b"%", b"%41", b"%ff", b"%00", b"+", b";", b"\xe9", b"b", b"1"]), max_size=30
).map(b"".join)


def outcome(parser: Any, body: bytes) -> Any:
    try:
        return parser(body)
    except MalformedInput:
        return MalformedInput


def identical(one: Any, other: Any) -> bool:
    """Equal to the last type and bit: 1 is not 1.0 and 0.0 is not -0.0."""
    return repr(one) == repr(other)


@repeatable
@given(VALUES, some.booleans(), some.sampled_from([None, 0, 2]))
def test_what_json_dumps_writes_is_read_as_it_was(value: Any, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert identical(strict_json.loads(body), value)


@repeatable
@given(some.binary() | NEARLY_JSON)
def test_any_bytes_are_json_or_malformed(body: bytes) -> None:
    value = outcome(strict_json.loads, body)
    if value is not MalformedInput:
        assert identical(value, json.loads(body))
        assert identical(strict_json.loads(json.dumps(value, allow_nan=False).encode()), value)


@repeatable
@given(VALUES, some.data())
def test_json_cut_short_is_never_read_as_something_else(value: Any, data: some.DataObject) -> None:
    body = json.dumps([value]).encode()
    cut = data.draw(some.integers(0, len(body) - 1))
    assert outcome(strict_json.loads, body[:cut]) is MalformedInput


@repeatable
@given(some.binary() | NEARLY_FORMS)
def test_any_bytes_are_a_form_or_malformed(body: bytes) -> None:
    fields = outcome(forms.loads, body)
    if fields is not MalformedInput:
        assert all(isinstance(text, str) for pair in fields.items() for text in pair)
        json.dumps(fields).encode()
