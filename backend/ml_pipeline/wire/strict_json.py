"""Strict JSON: bytes to Python values, refusing what two parsers could read in two ways.

Beyond the grammar it refuses NaN and Infinity, numbers that overflow, duplicate keys, lone surrogates, NUL in strings
and nesting deeper than 32. Imports no Django and no HTTP.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ml_pipeline.errors import MalformedInput

MAX_DEPTH = 32


def loads(body: bytes, name: str = "body") -> Any:
    """The value that `body` (UTF-8) spells. Raises MalformedInput with the reason for what is not strict JSON; people
    know it by `name`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"The {name} is not UTF-8 (byte {error.start}).") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise MalformedInput(
            f"The {name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise MalformedInput(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    _check(value, 1, strings="\\u" in text)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedInput(f"The key {name[:100]!a} appears twice in one object.")
            seen.add(name)
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedInput(f"{name} is not JSON.")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise MalformedInput(f"The number {digits[:40]} is too large.")
    return value


def _integer(digits: str) -> int:
    # As for floats: what a reader with doubles would see as infinity. int() itself refuses only beyond 4,300 digits.
    if len(digits) > 308 and math.isinf(float(digits)):
        raise MalformedInput(f"The number {digits[:40]}… is too large.")
    return int(digits)


def _check(value: Any, depth: int, *, strings: bool) -> None:
    # A raw NUL or surrogate cannot pass the parser or UTF-8, so strings need a look only where the text has \u escapes.
    if isinstance(value, str):
        if strings:
            _check_string(value)
        return
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        raise MalformedInput(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        if strings:
            for name in value:
                _check_string(name)
        value = value.values()
    for item in value:
        _check(item, depth + 1, strings=strings)


def _check_string(text: str) -> None:
    if "\x00" in text:
        raise MalformedInput("A string contains NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedInput("A string contains a lone surrogate.") from None


def shown(value: Any) -> str:
    """`value` as an error message may show it: JSON, shortened to 100 characters, control characters escaped."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 100 else text[:97] + "..."
