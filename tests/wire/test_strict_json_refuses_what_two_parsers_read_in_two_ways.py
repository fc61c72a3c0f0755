"""Strict JSON refuses by name what lenient parsers accept, each in its own way."""

from __future__ import annotations

import pytest

from ml_pipeline.errors import MalformedInput
from ml_pipeline.wire import strict_json

REFUSED = {
    "nothing": (b"", "not JSON"),
    "only blanks": (b" \n\t", "not JSON"),
    "NaN": (b'{"a": NaN}', "NaN is not JSON"),
    "Infinity": (b"[Infinity]", "Infinity is not JSON"),
    "minus Infinity": (b"-Infinity", "-Infinity is not JSON"),
    "a float that overflows": (b"1e400", "too large"),
    "a negative float that overflows": (b"[-1e400]", "too large"),
    "an integer of 5,000 digits": (b'{"a": ' + b"9" * 5_000 + b"}", "too large"),
    "an integer that overflows a double": (b"1" + b"0" * 309, "too large"),
    "a key twice": (b'{"a": 1, "a": 1}', "'a' appears twice"),
    "a key twice in two spellings": (b'{"a": 1, "\\u0061": 2}', "'a' appears twice"),
    "a key twice, deep inside": (b'[{"x": {"b": 1, "c": 2, "b": 3}}]', "'b' appears twice"),
    "a lone high surrogate": (b'{"a": "\\ud800"}', "lone surrogate"),
    "a lone low surrogate": (b'["\\udc00\\ud800"]', "lone surrogate"),
    "a lone surrogate in a key": (b'{"\\ud83d": 1}', "lone surrogate"),
    "a surrogate encoded raw": (b'"\xed\xa0\x80"', "not UTF-8"),
    "an escaped NUL": (b'"a\\u0000b"', "NUL"),
    "an escaped NUL in a key": (b'{"\\u0000": 1}', "NUL"),
    "a raw NUL": (b'"a\x00b"', "not JSON"),
    "a raw line break in a string": (b'"a\nb"', "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "Latin-1": ('"é"'.encode("latin-1"), "not UTF-8"),
    "UTF-16": ("{}".encode("utf-16"), "not UTF-8"),
    "text after the value": (b"{} {}", "not JSON"),
    "a trailing comma": (b"[1,]", "not JSON"),
    "a comment": (b"[1] // one", "not JSON"),
    "single quotes": (b"{'a': 1}", "not JSON"),
    "a leading zero": (b"[01]", "not JSON"),
    "a plus sign": (b"[+1]", "not JSON"),
    "a bare fraction": (b"[.5]", "not JSON"),
    "digits of another script": ("[٣]".encode(), "not JSON"),
    "an unfinished escape": (b'"\\u12"', "not JSON"),
    "an unfinished object": (b'{"a": 1', "not JSON"),
    "a form feed between values": (b"[1,\x0c2]", "not JSON"),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedInput) as refusal:
        strict_json.loads(body)
    assert reason in refusal.value.message
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, -2.5, true, false, null, "x"]}\n', {"a": [1, -2.5, True, False, None, "x"]}),
        (b'"\\ud83d\\ude00 \\u00e9"', "😀 é"),
        ('"😀 é"'.encode(), "😀 é"),
        (b'{"a": {"a": {"a": 1}}}', {"a": {"a": {"a": 1}}}),
        (b"[1.0, 1e2, 1E-400]", [1.0, 100.0, 0.0]),
        (b"9" * 308, int("9" * 308)),
        (b"0", 0),
    ],
)
def test_plain_values_are_read(body: bytes, value: object) -> None:
    assert strict_json.loads(body) == value


def test_an_integer_stays_an_integer_and_a_float_a_float() -> None:
    values = strict_json.loads(b"[39, 39.0, 9007199254740993]")
    assert [type(value) for value in values] == [int, float, int]
    assert values[2] == 2**53 + 1


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
@pytest.mark.parametrize("depth", [33, 100, 10_000, 1_000_000])
def test_nesting_ends_at_32_levels(opening: bytes, closing: bytes, depth: int) -> None:
    strict_json.loads(opening * 32 + b"1" + closing * 32)
    with pytest.raises(MalformedInput, match="nested deeper than 32"):
        strict_json.loads(opening * depth + b"1" + closing * depth)


def test_brackets_that_never_close_are_refused_at_once() -> None:
    with pytest.raises(MalformedInput):
        strict_json.loads(b"[" * 10_000_000)


def test_a_value_is_shown_short_and_in_ascii() -> None:
    assert strict_json.shown("é\n") == '"\\u00e9\\n"'
    assert strict_json.shown(None) == "null"
    long = strict_json.shown("x" * 1_000)
    assert len(long) == 100
    assert long.endswith("...")
