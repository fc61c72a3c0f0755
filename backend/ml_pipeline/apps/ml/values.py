"""Single values of a row: what fits a feature type, and what the strings of forms and CSV mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

# Beyond 2**53 a JSON number is no longer exact in every reader; beyond float32 a compiled model would see infinity.
MAX_INTEGER = 2**53
MAX_NUMBER = 3.4028234663852886e38

EXPECTED = {
    "integer": f"an integer between -{MAX_INTEGER} and {MAX_INTEGER}",
    "number": "a finite number of at most 3.4e38",
    "string": "a string",
    "boolean": "true or false",
}

# As many categories as a complaint names, and as much of each.
MAX_NAMED = 10
MAX_SHOWN = 40

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def fitted(value: Any, kind: str) -> Any:
    """`value` as the feature type `kind` stores it, or None when it does not fit. An integer may come as 39.0."""
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "integer":
        if isinstance(value, float) and not value.is_integer():
            return None
        return int(value) if abs(value) <= MAX_INTEGER else None
    if isinstance(value, int):
        # As the same digits with a point would be read; the largest has 128 bits.
        value = float(value) if value.bit_length() <= 128 else math.inf
    return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else None


def coerced(text: str, kind: str) -> Any:
    """What `text` of a form or CSV means for `kind`: blank is missing; what cannot be read stays a string."""
    if kind == "string":
        return text
    stripped = text.strip()
    if not stripped:
        return None
    if kind == "boolean":
        return _BOOLEANS.get(stripped.lower(), text)
    if len(stripped) > 400 or not _NUMBER.fullmatch(stripped):
        return text
    try:
        return int(stripped)
    except ValueError:
        return float(stripped)


def one_of(categories: Sequence[str]) -> str:
    """What a complaint says is expected of a value that must be one of `categories`: the first ten, shortened."""
    named = [one if len(one) <= MAX_SHOWN else f"{one[: MAX_SHOWN - 1]}…" for one in categories[:MAX_NAMED]]
    more = f" and {len(categories) - MAX_NAMED:,} more" if len(categories) > MAX_NAMED else ""
    return f"one of {', '.join(json.dumps(one, ensure_ascii=False) for one in named)}{more}"
