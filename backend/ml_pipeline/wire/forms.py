"""Form-encoded bodies, as clients of the Django tutorial send them: bytes to a flat mapping of strings."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ml_pipeline.errors import MalformedInput

MAX_FIELDS = 1_000


def loads(body: bytes) -> dict[str, str]:
    """Field name to value, blanks kept. Raises MalformedInput for bad escapes, repeated fields, NUL or > 1,000 fields."""
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
