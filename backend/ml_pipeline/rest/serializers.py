"""Serializers that refuse what they do not know: a mistyped field name must not be ignored."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

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
