"""What a body is decoded to at once is what strict JSON and the signature make of it; all else is left to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from odd_bodies import BOUNDS, CLOSED_INTEGERS, NAMES, PLAIN, bodies, signatures

from ml_pipeline.apps.ml.decoding import RowDecoder
from ml_pipeline.apps.ml.signature import Feature, FeatureType, Signature
from ml_pipeline.errors import InvalidInput, MalformedInput
from ml_pipeline.wire import strict_json

repeatable = settings(derandomize=True, deadline=None, max_examples=500)


def strictly(signature: Signature, body: bytes) -> tuple[bool, list[list[Any]]] | None:
    """Whether it is a list, and the cells; None where it is refused."""
    try:
        document = strict_json.loads(body)
        listed = isinstance(document, list)
        rows = signature.rows(document if listed else [document])
    except (MalformedInput, InvalidInput):
        return None
    return listed, [list(row.values()) for row in rows]


def fast(signature: Signature, body: bytes) -> tuple[bool, list[list[Any]]] | None:
    decoded = RowDecoder(signature).decode(body)
    if decoded is None:
        return None
    assert decoded.rows.names == signature.names
    return decoded.listed, [list(cells) for cells in decoded.rows.cells]


def same(one: tuple[bool, list[list[Any]]], other: tuple[bool, list[list[Any]]] | None) -> bool:
    # The same types too, and the same sign of zero.
    return repr(one) == repr(other)


@repeatable
@given(some.data())
def test_what_is_decoded_at_once_is_what_the_strict_way_gives(data: some.DataObject) -> None:
    signature = data.draw(signatures())
    body = data.draw(bodies(signature))
    found = fast(signature, body)
    assert found is None or same(found, strictly(signature, body))


@repeatable
@given(some.data())
def test_plain_complete_rows_are_decoded_at_once(data: some.DataObject) -> None:
    kinds = {"integer": some.integers(-(2**53), 2**53), "string": some.text(PLAIN), "boolean": some.booleans()}
    kinds["number"] = some.floats(width=32, allow_nan=False, allow_infinity=False) | kinds["integer"]
    names = data.draw(some.lists(NAMES, min_size=1, max_size=5, unique=True))
    given_features = [
        Feature(name, data.draw(some.sampled_from(sorted(kinds))), data.draw(some.booleans())) for name in names
    ]
    signature = Signature(tuple(given_features), "regression")
    row = some.fixed_dictionaries(
        {one.name: kinds[one.type] | some.none() if one.nullable else kinds[one.type] for one in given_features}
    )
    rows = data.draw(some.lists(row, max_size=4))
    for document in (rows, *rows[:1]):
        body = json.dumps(document, ensure_ascii=False).encode()
        found = fast(signature, body)
        assert found is not None
        assert same(found, strictly(signature, body))


@repeatable
@given(some.data())
def test_absent_nullable_keys_are_decoded_at_once_but_not_an_empty_object(data: some.DataObject) -> None:
    signature = Signature(tuple(Feature(name, "string", nullable=True) for name in "abc"), "regression")
    row = some.dictionaries(some.sampled_from("abc"), some.none() | some.text(PLAIN, max_size=3))
    rows = data.draw(some.lists(row, min_size=1, max_size=4))
    body = json.dumps(rows, ensure_ascii=False).encode()
    found, strict = fast(signature, body), strictly(signature, body)
    assert (found is None) == (strict is None) == (not all(rows))
    assert found is None or same(found, strict)


PAIR = Signature(
    (
        Feature("a", "string", nullable=True),
        Feature("hours-per-week", "number", nullable=True),
        Feature("c", "integer"),
    ),
    "regression",
)


@pytest.mark.parametrize(
    "body",
    [
        '{"c":1,"c":1}',
        '{"c":1,"c":2,"a":null}',
        '{"hours-per-week":1,"hours-per-week":2,"c":1}',
        '{"a":"x","c":1,"a":"x"}',
        '{"a":null,"c":1,"a":"x"}',
        '{"a":"x","c":1,"a":null}',
        '{"a":"x","hours-per-week":1,"c":1,"c":1}',
        '[{"c":1,"c":1},{"a":"x","hours-per-week":1,"c":1}]',
        # An object too few and a key too many do not make up for each other.
        '[{},{"c":1,"c":1}]',
    ],
)
def test_a_key_that_comes_twice_in_the_place_of_an_absent_one_is_not_accepted(body: str) -> None:
    assert strictly(PAIR, body.encode()) is None
    assert fast(PAIR, body.encode()) is None


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udc00x", "\\n", "\\u0041", "\\\\", '\\"'])
def test_what_has_an_escape_is_left_to_the_strict_parser(text: str) -> None:
    for body in (f'{{"a":"{text}","c":1}}', f'{{"{text}":1,"c":1}}', f'[{{"a":"{text}","c":1}}]'):
        assert fast(PAIR, body.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"c":1e400}',
        '{"c":NaN}',
        f'{{"c":{2**70}}}',
        '{"c":1,"hours-per-week":1e39}',
        '{"c":"1"}',
        '{"c":true}',
        '{"c":null}',
        "",
        " ",
        "{}",
        "[{}]",
        "[[]]",
        "null",
        '"c"',
        '{"c":1}x',
        '{"c":1}{"c":1}',
        '\ufeff{"c":1}',
        '{"c":1,}',
        '{"d":1,"c":1}',
    ],
)
def test_what_is_refused_is_not_decoded(text: str) -> None:
    assert strictly(PAIR, text.encode()) is None
    assert fast(PAIR, text.encode()) is None


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_bounds_hold_for_both_ways(kind: FeatureType, bounds: tuple[float, float]) -> None:
    signature = Signature((Feature("x", kind, bounds=bounds),), "regression")
    for value in (*range(-3, 3), *range(37, 42), 254, 255, 256, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1):
        body = b'{"x":%d}' % value
        assert repr(fast(signature, body)) == repr(strictly(signature, body))


@pytest.mark.parametrize("category", CLOSED_INTEGERS)
def test_a_closed_integer_is_spelt_as_its_category_is(category: str) -> None:
    signature = Signature((Feature("x", "integer", categories=(category, "5"), is_closed=True),), "regression")
    for value in (-2, -1, 0, 1, 3, 5, 7, 39, 2**53):
        body = b'{"x":%d}' % value
        assert fast(signature, body) == strictly(signature, body)


def test_ordinary_bodies_are_decoded_at_once() -> None:
    full, short = '{"a":"é","hours-per-week":40,"c":39}', ' {"c" : 39} '
    assert fast(PAIR, full.encode()) == (False, [["é", 40.0, 39]])
    assert fast(PAIR, short.encode()) == (False, [[None, None, 39]])
    assert fast(PAIR, f" \n[{full},{short}]".encode()) == (True, [["é", 40.0, 39], [None, None, 39]])
    assert fast(PAIR, b"[]") == (True, [])
    decoded = fast(PAIR, full.encode())
    assert decoded is not None
    assert [type(cell) for cell in decoded[1][0]] == [str, float, int]
