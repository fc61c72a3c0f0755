"""Times as clients write them in addresses: with their offset, so that none means another where the server stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

EXPECTED: Final = "a time with its offset, such as 2026-01-31T12:00:00Z"


def read(text: str) -> datetime | None:
    """The time that `text` says, in UTC; None where it says none, none with an offset, or one that no calendar has."""
    try:
        # A "+" of an offset arrives as a space when the client did not escape it.
        moment = parse_datetime(text.replace(" ", "+", 1) if "T" in text else text) if text.isascii() else None
        if moment is not None and timezone.is_aware(moment):
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


class _MomentField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        moment = read(str(value))
        if moment is None:
            raise ValidationError(EXPECTED, code="invalid")
        return moment


class MomentFilter(django_filters.IsoDateTimeFilter):
    """Rows before or after a time with its offset."""

    field_class = _MomentField  # type: ignore[assignment]  # the stubs want its own kind
