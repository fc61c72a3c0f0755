"""Serializers that refuse what they do not know: a mistyped field name must not be ignored."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.errors import Complaint, InvalidInput

# The actor is who authenticated; and a page's form carries the token that it is checked by.
IGNORED = frozenset({"created_by", "csrfmiddlewaretoken"})


class RefusesUnknownFields(serializers.Serializer[Any]):
    """Mix in first. Read-only fields are ignored when sent, as is what IGNORED names."""

    def to_internal_value(self, data: Any) -> Any:
        """The validated values. Raises ValidationError naming every unknown field."""
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields) - IGNORED)
            if unknown:
                raise serializers.ValidationError({name[:100]: "unknown" for name in unknown}, code="unknown_field")
        return super().to_internal_value(data)


class RefusesRepeatedFields(RefusesUnknownFields):
    """A multipart form. A field that comes twice is refused: which one is meant?"""

    def to_internal_value(self, data: Any) -> Any:
        """The validated values of the form. Raises InvalidInput and ValidationError."""
        came = {name: len(data.getlist(name)) for name in data} if hasattr(data, "getlist") else {}
        if twice := [
            Complaint(None, name[:100], "one value", f"{count} values") for name, count in came.items() if count > 1
        ]:
            raise InvalidInput(twice)
        return super().to_internal_value(data.dict() if hasattr(data, "getlist") else data)


class OneOf(serializers.ChoiceField):
    """A choice whose refusal names what there is to choose from."""

    def fail(self, key: str, **given: Any) -> NoReturn:
        """Raises ValidationError."""
        if key == "invalid_choice":
            raise serializers.ValidationError(f"one of {', '.join(map(str, self.choices))}", code="not_listed")
        super().fail(key, **given)


class Number(serializers.FloatField):
    """A finite number; a form could say "nan"."""

    default_error_messages = {"not_finite": "a finite number"}

    def to_internal_value(self, data: Any) -> float:
        """The number. Raises ValidationError."""
        if isinstance(data, bool):
            self.fail("invalid")
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("not_finite")
        return value


@extend_schema_field(OpenApiTypes.BINARY)
class SentFile(serializers.FileField):
    """A file of a form; OpenAPI would take it for the address of one."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """As everywhere; but a page sends empty text for a file that nobody chose."""
        if data == "" and self.required:
            self.fail("required")
        return super().validate_empty_values(None if data == "" else data)
