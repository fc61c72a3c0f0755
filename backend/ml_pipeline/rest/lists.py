"""Lists of the control plane: bare arrays, newest first, keyset pages, filters from an allow-list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from ml_pipeline.errors import Complaint, InvalidInput, UnknownParameter

if TYPE_CHECKING:
    from rest_framework.views import APIView

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
# A row's number or UUID. Python's own readers take signs, underscores, spaces and the digits of every script.
ID_PATTERN = "^[0-9a-f][0-9a-f-]{0,35}$"


class _RowIdField(forms.IntegerField):
    # What a 64-bit column holds.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("max_length", None)
        super().__init__(*args, min_value=0, max_value=2**63 - 1, **kwargs)

    def to_python(self, value: Any) -> int | None:
        if value not in self.empty_values and not re.fullmatch("[0-9]{1,19}", str(value)):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class KeysetPagination(BasePagination):
    """`?limit=` (1 to 1,000) rows with ids below `?before=`; the next page's address comes in the `Link` header."""

    def paginate_queryset(  # type: ignore[override]  # lists here are always querysets
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        """The page's rows, newest (highest id) first."""
        limit = self.limit(request.query_params.get("limit"))
        before = request.query_params.get("before")
        if before is not None:
            queryset = queryset.filter(pk__lt=self._key(queryset.model, before))
        page = list(queryset.order_by("-pk")[: limit + 1])
        self._next = None
        if len(page) > limit:
            page = page[:limit]
            address = replace_query_param(request.build_absolute_uri(), "before", str(page[-1].pk))
            self._next = replace_query_param(address, "limit", str(limit))
        return page

    @staticmethod
    def limit(text: str | None) -> int:
        """The rows a page that `text` says, or the default. Raises InvalidInput."""
        if text is None:
            return DEFAULT_LIMIT
        if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT):
            raise InvalidInput([Complaint(None, "limit", f"an integer from 1 to {MAX_LIMIT}", repr(text[:40]))])
        return int(text)

    @staticmethod
    def _key(model: type[Model], text: str) -> Any:
        refusal = InvalidInput([Complaint(None, "before", "an id from this list", repr(text[:40]))])
        if not re.fullmatch(ID_PATTERN, text):
            raise refusal
        try:
            return model._meta.pk.to_python(text)
        except (ValidationError, ValueError, OverflowError):
            raise refusal from None

    def get_paginated_response(self, data: Any) -> Response:
        """A bare array, with a `Link` header where there is more."""
        return Response(data, headers={"Link": f'<{self._next}>; rel="next"'} if self._next else None)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The response is the array itself."""
        return schema

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """`limit` and `before`, for OpenAPI."""
        return [
            {
                "name": "limit",
                "in": "query",
                "description": "Rows a page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            },
            {
                "name": "before",
                "in": "query",
                "description": "Rows older than this id; the `Link` header holds the next page's address.",
                "schema": {"type": "string", "pattern": ID_PATTERN},
            },
        ]


class RowIdFilter(django_filters.Filter):
    """Rows that refer to the row with this id; none where there is no such row."""

    field_class = _RowIdField


class _FlagSelect(forms.NullBooleanSelect):
    """Hands on what is no flag; Django's own would take it for nothing given, and 2 for true."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        text = data.get(name, "")
        return {"true": True, "false": False, "unknown": None}.get(text.lower(), text)


class _FlagField(forms.NullBooleanField):
    widget = _FlagSelect

    def to_python(self, value: Any) -> bool | None:  # type: ignore[override]  # as Django does
        if isinstance(value, str) and value:
            raise ValidationError("true or false")
        return super().to_python(value)


class FlagFilter(django_filters.BooleanFilter):
    """`true` or `false`; anything else is an error, not ignored."""

    field_class = _FlagField


class AllowListedFilters(DjangoFilterBackend):
    """The view's `filterset_class`; a parameter that neither it nor the view names is an error, not ignored."""

    def filter_queryset(self, request: Any, queryset: QuerySet[Any], view: APIView) -> Any:
        """The rows that match. Raises UnknownParameter and InvalidInput."""
        filters = self.get_filterset_class(view, queryset)
        known = set(filters.base_filters) if filters else set()
        refuse_unknown(request, known | {"limit", "before"})
        return super().filter_queryset(request, queryset, view)


def refuse_unknown(request: Request, known: set[str]) -> None:
    """Raises UnknownParameter when the query names a parameter that is not in `known` (or `format`, for pages)."""
    unknown = sorted(set(request.query_params) - known - {"format"})
    if unknown:
        raise UnknownParameter(
            f"Unknown query parameter {unknown[0][:100]!r}; this route knows: {', '.join(sorted(known)) or 'none'}.",
            {"unknown": [name[:100] for name in unknown], "known": sorted(known)},
        )
