"""A request as any door hands it over before its body is read, and how large that body may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ml_pipeline.errors import BodyTooLarge, MalformedInput

MAX_BODY_BYTES = 10_000_000
# Whoever has neither key nor session may log in, no more.
MAX_STRANGERS_BYTES = 100_000


class Head(NamedTuple):
    """A request without its body. Header names are lower-case; `query` is still percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]

    def header(self, name: bytes) -> str | None:
        """The value of the header `name`, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """The announced length in bytes, or None. Raises MalformedInput."""
        text = self.header(b"content-length")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise MalformedInput("Content-Length is not a number.")
        return int(text)


def check_length(head: Head, limit_bytes: int = MAX_BODY_BYTES) -> None:
    """Raises BodyTooLarge when the announced body is over the limit: decided before it is read."""
    length = head.content_length
    if length is not None and length > limit_bytes:
        raise too_large(limit_bytes)


def is_at_most(head: Head, size_bytes: int) -> bool:
    """Whether the body announces a length, or is none, and no more than that."""
    return b"transfer-encoding" not in head.headers and (head.content_length or 0) <= size_bytes


def too_large(limit_bytes: int = MAX_BODY_BYTES) -> BodyTooLarge:
    """The refusal of a body over the limit."""
    limit = f"{limit_bytes // 1_000_000} MB" if limit_bytes >= 1_000_000 else f"{limit_bytes:,} bytes"
    return BodyTooLarge(f"The body is larger than {limit}.", {"limit_bytes": limit_bytes})
