"""Views of batch jobs: their list, one of them, its result, its rejected rows, its end before its time."""

from __future__ import annotations

import re
from typing import Any

import django_filters
from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.batches import answers, batches, rejected, results, waits
from ml_pipeline.apps.batches.api.serializers import (
    AnsweredSerializer,
    BatchSerializer,
    NewBatchSerializer,
    RejectedSerializer,
    RowsSerializer,
    Wanted,
)
from ml_pipeline.apps.batches.models import OVER, BatchJob, State
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.errors import Complaint, InvalidInput, NotFound
from ml_pipeline.rest import streams
from ml_pipeline.rest.lists import KeysetPagination, RowIdFilter, refuse_unknown
from ml_pipeline.rest.parsers import UploadParser
from ml_pipeline.rest.serializers import RefusesUnknownFields

_JOBS = BatchJob.objects.select_related("parent_endpoint", "parent_mlalgorithm")
_WAIT = OpenApiParameter(
    waiting.PARAMETER,
    OpenApiTypes.NUMBER,
    description=f"Seconds, 0 to {waiting.MAX_WAIT_S}, that the job's end is waited for.",
)


class BatchFilters(django_filters.FilterSet):
    """Filters of the list of jobs."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    state = django_filters.ChoiceFilter(choices=State.choices)
    # By number: whether another team's exists is not told.
    parent_mlalgorithm = RowIdFilter(field_name="parent_mlalgorithm_id")

    class Meta:
        model = BatchJob
        fields = ()


class BatchList(SeesOwn, generics.ListAPIView[BatchJob]):
    """All batch jobs, newest first; `POST` asks for one."""

    queryset = _JOBS
    filterset_class = BatchFilters
    parser_classes = (UploadParser,)
    scopes = {"GET": "read", "POST": "predict"}

    def get_serializer_class(self) -> type[Any]:
        """The job when read, the form when sent."""
        return BatchSerializer if self.request.method in SAFE_METHODS else NewBatchSerializer

    @extend_schema(
        parameters=[_WAIT],
        request={"multipart/form-data": NewBatchSerializer},
        responses={202: BatchSerializer, 200: BatchSerializer},
    )
    def post(self, request: Request) -> Response:
        """The job, which a worker does: 202, or with `wait` 200 where it is over in that time.

        What its first line shows to be wrong is refused, and nothing is stored.
        """
        refuse_unknown(request, {waiting.PARAMETER})
        text = request.query_params.get(waiting.PARAMETER)
        if text is None:
            return self._reply(self._made(request))
        patience_s = waiting.seconds(text)
        with waiting.place():
            return self._reply(waits.until_over(self._made(request).pk, patience_s))

    def _made(self, request: Request) -> BatchJob:
        return _wanted(NewBatchSerializer(data=request.data), request).made(grant_of(request))

    def _reply(self, job: BatchJob) -> Response:
        code = status.HTTP_200_OK if job.state in OVER else status.HTTP_202_ACCEPTED
        address = self.request.build_absolute_uri(reverse("batch", args=[job.pk]))
        return Response(_record(job.pk, self.request), status=code, headers={"Location": address})


class BatchDetail(SeesOwn, generics.RetrieveAPIView[BatchJob]):
    """One job, and how far it is."""

    queryset = _JOBS
    serializer_class = BatchSerializer
    filter_backends = ()
    scopes = {"GET": "read"}

    def get_object(self) -> BatchJob:
        """The job. Raises NotFound, which names it."""
        return _seen(self.kwargs["pk"], self.request, "read")


class BatchResult(SeesOwn, generics.GenericAPIView[BatchJob]):
    """The file that a job has made."""

    queryset = _JOBS
    serializer_class = BatchSerializer
    # What the route answers is a file; what it refuses is JSON, for browsers too.
    renderer_classes = (JSONRenderer,)
    filter_backends = ()
    scopes = {"GET": "read"}

    @extend_schema(
        responses={
            (200, "text/csv"): OpenApiTypes.BINARY,
            (200, results.MEDIA_TYPES["parquet"]): OpenApiTypes.BINARY,
        }
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """The rows of the input in their order, each with its answer. 409 where there is no result, 404 where it is
        removed."""
        refuse_unknown(request, set())
        job = _seen(pk, request, "read")
        file = results.opened(job)
        media_type, name = results.MEDIA_TYPES[job.output_format], results.file_name(job)
        return streams.attachment(request, streams.of_file(file), name, media_type, file.size)  # type: ignore[attr-defined]


class _CSV(BaseRenderer):
    """Says that rejected rows are there as CSV; the view streams them itself."""

    media_type, format = "text/csv", "csv"


class BatchErrors(SeesOwn, generics.GenericAPIView[BatchJob]):
    """The rows of a job that got no answer, as far as it is."""

    queryset = _JOBS
    serializer_class = RejectedSerializer
    renderer_classes = (JSONRenderer, _CSV)
    filter_backends = ()
    # Pages follow each other by row.
    pagination_class = None
    scopes = {"GET": "read"}

    @extend_schema(
        parameters=[
            OpenApiParameter("limit", OpenApiTypes.INT, description="Rows a page, 1 to 1,000."),
            OpenApiParameter("after", OpenApiTypes.INT, description="Only rows after the one with this number."),
            OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "csv"], description="csv: all of them."),
        ],
        responses={(200, "application/json"): RejectedSerializer(many=True), (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """In the order of the file, so many a page, the next page's address in the header `Link`; as CSV all of
        them."""
        job = _seen(pk, request, "read")
        if isinstance(request.accepted_renderer, _CSV):
            refuse_unknown(request, set())
            lines = streams.gathered(rejected.as_csv(job))
            return streams.attachment(request, lines, f"batch-{job.pk}-errors.csv", results.MEDIA_TYPES["csv"])
        refuse_unknown(request, {"limit", "after"})
        limit = KeysetPagination.limit(request.query_params.get("limit"))
        found = rejected.page(job, _after(request.query_params.get("after")), limit + 1)
        headers = None
        if len(found) > limit:
            found = found[:limit]
            address = replace_query_param(request.build_absolute_uri(), "after", str(found[-1].row))
            headers = {"Link": f'<{replace_query_param(address, "limit", str(limit))}>; rel="next"'}
        return Response([one._asdict() for one in found], headers=headers)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]  # DRF's own
        """What the route answers, in JSON whatever was asked for."""
        self._tell_in_json()
        return super().options(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """What is refused is JSON, whatever was asked for."""
        self._tell_in_json()
        return super().handle_exception(exc)

    def _tell_in_json(self) -> None:
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), "application/json"


class BatchCancel(SeesOwn, generics.GenericAPIView[BatchJob]):
    """The end of a job before its time; its files are removed."""

    queryset = _JOBS
    serializer_class = BatchSerializer
    scopes = {"POST": "predict"}

    @extend_schema(request=None, responses=BatchSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The job, cancelled; cancelled already, it stays as it is. 409 where it has succeeded or failed."""
        refuse_unknown(request, set())
        job = _seen(pk, request, "predict")
        RefusesUnknownFields(data=request.data).is_valid(raise_exception=True)
        batches.cancel(job.pk, actor=grant_of(request).actor)
        return Response(_record(job.pk, request))


class BatchPredict(SeesOwn, generics.GenericAPIView[BatchJob]):
    """A short file, scored while its sender waits."""

    queryset = _JOBS
    serializer_class = RowsSerializer
    parser_classes = (UploadParser,)
    scopes = {"POST": "predict"}

    @extend_schema(request={"multipart/form-data": RowsSerializer}, responses=AnsweredSerializer)
    def post(self, request: Request) -> Response:
        """The rows with their answers, and those that got none. 413 for more than 10,000 rows or 10 MB."""
        refuse_unknown(request, set())
        wanted, grant = _wanted(RowsSerializer(data=request.data), request).at_once(), grant_of(request)
        answers.refuse_large(wanted.file, wanted.asked.encoding or None)
        with waiting.place():
            job = answers.awaited(wanted.made(grant), actor=grant.actor)
        return Response(answers.told(_JOBS.get(pk=job.pk)))


def _wanted(form: RowsSerializer, request: Request) -> Wanted:
    form.is_valid(raise_exception=True)
    return form.wanted(endpoints.named(form.validated_data["endpoint"], grant_of(request), "predict"))


def _seen(pk: int, request: Request, scope: str) -> BatchJob:
    grant = grant_of(request)
    job = _JOBS.seen_by(grant).filter(pk=pk).first()
    if job is None:
        raise NotFound(f"There is no batch with the id {pk}.")
    grant.demand(scope, job.parent_endpoint.team_id)
    return job


def _record(job_id: int, request: Request) -> dict[str, Any]:
    # A plain mapping: the page would make its form of the fields of whatever serializer it finds on the reply.
    return dict(BatchSerializer(_JOBS.get(pk=job_id), context={"request": request}).data)


def _after(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", text):
        raise InvalidInput([Complaint(None, "after", "the number of a row", repr(text[:40]))])
    return int(text)
