"""Converters of parts of addresses that several apps route by."""

from __future__ import annotations

import functools

from django.urls import register_converter
from django.urls.converters import StringConverter


class RowId(StringConverter):
    """An id that fits a 64-bit column."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:  # type: ignore[override]
        """The number."""
        return int(value)


@functools.cache
def register() -> None:
    """Routes may say `<id:…>`. Once is enough."""
    register_converter(RowId, "id")
