"""Signatures, and JSON bodies for them: ordinary ones, and what is unusual or wrong in the ways bodies can be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as some

from ml_pipeline.apps.ml.signature import Feature, Signature

ODD_NAMES = (
    "hours-per-week",
    "a b",
    "class",
    "é",
    "f0",
    "f1",
    "",
    "Größe/m²",
    "a.b",
    "🦄",
    "None",
    "self",
    "\x7f",
    "\u2028",
)
# Without what JSON can only spell with a backslash.
PLAIN = some.characters(exclude_categories=["Cs"], exclude_characters='"\\' + "".join(map(chr, range(32))))
NAMES = some.sampled_from(ODD_NAMES) | some.text(PLAIN, max_size=8)
CLOSED_TEXTS = ("Oslo", "Lima", "é", "", "39", "a b", "null")
CLOSED_INTEGERS = ("1", "-2", "0", "39", "9007199254740992", "-0", "007", "1.0", "x", "٣")
BOUNDS = ((-1.5, 39.5), (0.0, 255.0), (0.2, 0.7), (39.0, 39.0), (-1e30, 1e30), (-(2.0**31), 2.0**31 - 1))


@some.composite
def features(draw: Any, name: str) -> Feature:
    kind = draw(some.sampled_from(["integer", "number", "string", "boolean"]))
    nullable = draw(some.booleans())
    closed = {"string": CLOSED_TEXTS, "integer": CLOSED_INTEGERS}.get(kind)
    if closed and draw(some.booleans()):
        categories = draw(some.lists(some.sampled_from(closed), min_size=1, max_size=4))
        return Feature(name, kind, nullable, tuple(categories), is_closed=True)
    bounds = draw(some.none() | some.sampled_from(BOUNDS)) if kind in ("integer", "number") else None
    return Feature(name, kind, nullable, bounds=bounds)


@some.composite
def signatures(draw: Any) -> Signature:
    names = draw(some.lists(NAMES, min_size=1, max_size=5, unique=True))
    return Signature(tuple(draw(features(name)) for name in names), "regression")


def spelt(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


NUMBERS = (
    *(
        "39",
        "39.0",
        "3.9e1",
        "-0",
        "-0.0",
        "0",
        "1e400",
        "-1e400",
        "1e-400",
        "NaN",
        "Infinity",
        "-Infinity",
        "1E2",
        "01",
    ),
    *("1.", ".5", "+1", "9007199254740992", "9007199254740993", "9007199254740992.0", str(2**70), str(-(2**63)), "255"),
    *("3.4028234663852886e38", "3.41e38", "-1e39", "1" + "0" * 400, "12345678901234567890123", "0.1", "5e-324", "39.5"),
)
OTHERS = (
    *("null", "true", "false", '"Oslo"', '"39"', '"é"', '""', '"true"', "[]", "{}", "[39]", '{"a":1}', "nul", "", '"'),
    *(
        '"\\u0000"',
        '"\\ud800"',
        '"\\ud83e\\udd84"',
        '"a\\"b"',
        '"a\\\\"',
        '"\\u0041"',
        '"\\x"',
        '"\t"',
        '"\x00"',
        "'a'",
    ),
    *('"a,b"', '"a:b"', '"{}"', '"[1]"', '"a\x7f"', '"\u2028"'),
)
TOKENS = some.sampled_from(NUMBERS + OTHERS) | some.text(PLAIN, max_size=6).map(spelt) | some.integers().map(str)
SPACES = some.sampled_from(["", " ", "\n", "\t", "\r\n ", " " * 120] * 3 + ["\x0c", "\xa0"])


def fitting(feature: Feature) -> some.SearchStrategy[str]:
    """Spellings of values, most of which fit."""
    known = some.sampled_from(feature.categories or ("39",))
    match feature.type:
        case "string":
            return (known if feature.is_closed else some.text(PLAIN, max_size=6) | known).map(spelt)
        case "integer":
            return known if feature.is_closed else some.integers(0, 255).map(str) | some.just("39")
        case "number":
            return some.sampled_from(["39", "0.5", "39.0", "1e1", "-0.0"]) | some.floats(0, 39).map(spelt)
        case "boolean":
            return some.sampled_from(["true", "false"])


@some.composite
def row_texts(draw: Any, signature: Signature) -> str:
    pairs = [(spelt(feature.name), draw(fitting(feature))) for feature in signature.features]
    for _ in range(draw(some.sampled_from([0, 0, 1, 2]))):
        place = draw(some.integers(0, max(0, len(pairs) - 1)))
        match draw(some.sampled_from(["drop", "null", "odd", "twice", "instead", "extra", "escaped", "reverse"])):
            case "drop":
                pairs[place : place + 1] = []
            case "null" if pairs:
                pairs[place] = (pairs[place][0], "null")
            case "odd" if pairs:
                pairs[place] = (pairs[place][0], draw(TOKENS))
            case "twice" if pairs:
                pairs.append((pairs[place][0], draw(some.just(pairs[place][1]) | TOKENS)))
            case "instead" if pairs:
                # A key that comes twice in the place of another.
                pairs[place] = draw(some.sampled_from(pairs))
            case "extra":
                pairs.insert(place, (spelt(draw(NAMES)), draw(TOKENS)))
            case "escaped" if pairs:
                pairs[place] = (_escaped(json.loads(pairs[place][0])), pairs[place][1])
            case "reverse":
                pairs.reverse()
    space = draw(SPACES)
    return "{" + ",".join(f"{space}{name}{space}:{space}{value}{space}" for name, value in pairs) + "}"


def _escaped(name: str) -> str:
    # Every "a" as an escape, and no other escape's.
    return '"' + "".join("\\u0061" if one == "a" else json.dumps(one)[1:-1] for one in name) + '"'


@some.composite
def bodies(draw: Any, signature: Signature) -> bytes:
    texts = draw(some.lists(row_texts(signature), max_size=4))
    space = draw(SPACES)
    text = f"[{space}{f'{space},'.join(texts)}{space}]" if len(texts) != 1 or draw(some.booleans()) else texts[0]
    if draw(some.integers(0, 9)) == 0:
        text = draw(
            some.sampled_from(["\ufeff" + text, text + "x", text + text, text[:-1], f"[{text}]", text[:-1] + ",]"])
        )
    body = (space + text + space).encode()
    if draw(some.integers(0, 9)) == 0:
        place = draw(some.integers(0, len(body)))
        body = (
            body[:place]
            + draw(some.sampled_from([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f", b"\x00"]))
            + body[place:]
        )
    return body
