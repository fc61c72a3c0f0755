"""Form-encoded bodies, as clients of the Django tutorial send them: bytes to a flat mapping of strings."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from ml_pipeline.errors import MalformedInput

MAX_FIELDS = 1_000
# urllib would take a bad escape literally, and another parser would not.
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def loads(body: bytes) -> dict[str, str]:
    """Field name to value, blanks kept. Raises MalformedInput for a bad escape, repeated field, NUL, > 1,000 fields."""
    if _BAD_ESCAPE.search(body):
        raise MalformedInput("The body is not a form: a % begins no escape.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise MalformedInput(
            f"The body is not a form: name=value pairs joined by &, percent-encoded UTF-8, at most {MAX_FIELDS}."
        ) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedInput("A form field appears twice.")
    if any("\x00" in text for pair in pairs for text in pair):
        raise MalformedInput("A form field contains NUL.")
    return fields
