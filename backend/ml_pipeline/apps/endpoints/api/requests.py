"""Views of the log of predictions and of feedback on it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.endpoints import batch_rows, feedback
from ml_pipeline.apps.endpoints.api.request_serializers import (
    BulkFeedbackItemSerializer,
    BulkFeedbackReplySerializer,
    FeedbackReplySerializer,
    FeedbackSerializer,
    RequestSerializer,
)
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.errors import Complaint, InvalidInput, MalformedInput
from ml_pipeline.rest.lists import RowIdFilter, refuse_unknown
from ml_pipeline.rest.parsers import CSVParser, StrictJSONParser


class RequestFilters(django_filters.FilterSet):
    """Filters of the log."""

    endpoint = django_filters.CharFilter(field_name="parent_mlalgorithm__parent_endpoint__name")

    # By number: whether another team's exists is not told.
    parent_mlalgorithm = RowIdFilter(field_name="parent_mlalgorithm_id")
    batch = RowIdFilter(field_name="job_id", method="of_batch")

    class Meta:
        model = MLRequest
        fields = ("outcome", "unit")

    def of_batch(self, rows: QuerySet[MLRequest], name: str, job_id: int) -> QuerySet[MLRequest]:
        """Those of `rows` that the batch job logged."""
        return batch_rows.of(rows, job_id)


class RequestList(SeesOwn, generics.ListAPIView[MLRequest]):
    """The log of predictions, newest first."""

    queryset = MLRequest.objects.all()
    serializer_class = RequestSerializer
    filterset_class = RequestFilters
    scopes = {"GET": "read"}

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One page, with the feedback of its requests."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(RequestSerializer(_with_feedback(page), many=True).data)


class RequestDetail(SeesOwn, generics.RetrieveAPIView[MLRequest]):
    """One logged prediction; `PUT` or `PATCH` says what its true outcome was."""

    queryset = MLRequest.objects.all()
    filter_backends = ()
    scopes = {"GET": "read", "PUT": "feedback", "PATCH": "feedback"}

    def get_serializer_class(self) -> type[Any]:
        """The request when read, its feedback when written: browsable pages show the matching form."""
        return RequestSerializer if self.request.method in SAFE_METHODS else FeedbackSerializer

    @extend_schema(responses=RequestSerializer)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The request with its feedback."""
        refuse_unknown(request, set())
        return Response(RequestSerializer(_with_feedback([self.get_object()])[0]).data)

    @extend_schema(request=FeedbackSerializer, responses=FeedbackReplySerializer)
    def put(self, request: Request, pk: UUID) -> Response:
        """Feedback. The first outcome counts; later ones are kept as corrections."""
        refuse_unknown(request, set())
        body = FeedbackSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        effect = feedback.record(pk, body.validated_data["feedback"], grant_of(request))
        return Response({"id": str(pk), "status": effect, "feedback": feedback.effective([pk])[pk]})

    @extend_schema(request=FeedbackSerializer, responses=FeedbackReplySerializer)
    def patch(self, request: Request, pk: UUID) -> Response:
        """The same as `PUT`."""
        return self.put(request, pk)


class FeedbackBulk(SeesOwn, generics.GenericAPIView[MLRequest]):
    """Feedback on many requests at once, as JSON or as CSV with the columns `request_id` and `feedback`."""

    queryset = MLRequest.objects.all()
    serializer_class = BulkFeedbackItemSerializer
    parser_classes = (StrictJSONParser, CSVParser)
    scopes = {"POST": "feedback"}

    @extend_schema(
        request={"application/json": BulkFeedbackItemSerializer(many=True), "text/csv": OpenApiTypes.STR},
        responses=BulkFeedbackReplySerializer,
    )
    def post(self, request: Request) -> Response:
        """Counts of what was added, and what was refused and why; good lines are kept although others are not."""
        refuse_unknown(request, set())
        if not isinstance(request.data, list):
            raise MalformedInput("Send a list of objects with request_id and feedback.")
        if len(request.data) > feedback.MAX_ITEMS:
            raise InvalidInput(
                [Complaint(None, None, f"at most {feedback.MAX_ITEMS} lines", f"{len(request.data)} lines")]
            )
        items, unreadable = _items(request.data)
        outcome = feedback.record_all(items, grant_of(request))
        return Response({**outcome._asdict(), "invalid": unreadable + outcome.invalid})


def _with_feedback(rows: list[MLRequest]) -> list[MLRequest]:
    known = feedback.effective(row.pk for row in rows)
    for row in rows:
        row.feedback = known.get(row.pk)  # type: ignore[attr-defined]
    return rows


def _items(lines: list[Any]) -> tuple[list[feedback.Item], list[dict[str, Any]]]:
    items, unreadable = [], []
    for index, line in enumerate(lines):
        serializer = BulkFeedbackItemSerializer(data=line)
        if serializer.is_valid():
            good = serializer.validated_data
            items.append(feedback.Item(good["request_id"], good["feedback"], index))
        else:
            given = line.get("request_id") if isinstance(line, dict) else None
            shown = str(given)[:100] if given is not None else None
            unreadable.append(feedback.unusable(index, shown, "request_id, a UUID, and feedback", line))
    return items, unreadable
