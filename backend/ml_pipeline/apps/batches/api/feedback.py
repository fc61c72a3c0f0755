"""Feedback files in the REST API: their list, one of them, its end before its time."""

from __future__ import annotations

from typing import Any

import django_filters
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.batches import feedback_files, recognition
from ml_pipeline.apps.batches.models import FeedbackFile, State
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.ml.scoring import sources
from ml_pipeline.errors import NotFound
from ml_pipeline.rest.lists import refuse_unknown
from ml_pipeline.rest.parsers import UploadParser
from ml_pipeline.rest.serializers import OneOf, RefusesRepeatedFields, RefusesUnknownFields, SentFile

_FILES = FeedbackFile.objects.select_related("parent_endpoint")


class NewFeedbackFileSerializer(RefusesRepeatedFields):
    """A CSV with the columns `request_id` and `feedback`, also packed by gzip, on requests of one endpoint."""

    endpoint = serializers.CharField(max_length=63)
    file = SentFile(max_length=255)
    encoding = OneOf(choices=sources.ENCODINGS, required=False, default=None)


class ProblemSerializer(serializers.Serializer[Any]):
    """A line that was refused, from 1, the id in it, and what is wrong."""

    line = serializers.IntegerField()
    request_id = serializers.CharField()
    reason = serializers.CharField()


class FeedbackFileSerializer(serializers.ModelSerializer[FeedbackFile]):
    """A feedback file, how far it is told, and what became of its lines; the first refused ones are listed."""

    endpoint = serializers.CharField(source="parent_endpoint.name")
    lines = serializers.IntegerField(source="next_row")
    problems = serializers.SerializerMethodField()

    class Meta:
        model = FeedbackFile
        fields = (
            "id",
            "state",
            "parent_endpoint",
            "endpoint",
            "file_name",
            "input_bytes",
            "encoding",
            "lines",
            "accepted",
            "unchanged",
            "unknown",
            "invalid",
            "problems",
            "error",
            "created_by",
            "created_at",
            "started_at",
            "ended_at",
        )
        read_only_fields = fields

    @extend_schema_field(ProblemSerializer(many=True))
    def get_problems(self, file: FeedbackFile) -> list[dict[str, Any]]:
        """The first lines that were refused."""
        return [dict(zip(("line", "request_id", "reason"), one, strict=True)) for one in file.problems]


class FeedbackFileFilters(django_filters.FilterSet):
    """Filters of the list of feedback files."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    state = django_filters.ChoiceFilter(choices=State.choices)

    class Meta:
        model = FeedbackFile
        fields = ()


class FeedbackFileList(SeesOwn, generics.ListAPIView[FeedbackFile]):
    """All feedback files, newest first; `POST` sends one."""

    queryset = _FILES
    filterset_class = FeedbackFileFilters
    parser_classes = (UploadParser,)
    scopes = {"GET": "read", "POST": "feedback"}

    def get_serializer_class(self) -> type[Any]:
        """The file's record when read, the form when sent."""
        return FeedbackFileSerializer if self.request.method in SAFE_METHODS else NewFeedbackFileSerializer

    @extend_schema(request={"multipart/form-data": NewFeedbackFileSerializer}, responses={202: FeedbackFileSerializer})
    def post(self, request: Request) -> Response:
        """The file, which a worker tells. What its first line shows to be wrong is refused, and nothing is stored."""
        refuse_unknown(request, set())
        form = NewFeedbackFileSerializer(data=request.data, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        given: dict[str, Any] = form.validated_data
        grant = grant_of(request)
        endpoint = endpoints.named(given["endpoint"], grant, "feedback")
        recognition.check_feedback(given["file"], encoding=given["encoding"])
        file = feedback_files.create(
            given["file"], endpoint, given["file"].name, given["encoding"] or "", actor=grant.actor
        )
        address = request.build_absolute_uri(reverse("feedback-file", args=[file.pk]))
        return Response(_record(file.pk), status=status.HTTP_202_ACCEPTED, headers={"Location": address})


class FeedbackFileDetail(SeesOwn, generics.RetrieveAPIView[FeedbackFile]):
    """One feedback file, and how far it is."""

    queryset = _FILES
    serializer_class = FeedbackFileSerializer
    filter_backends = ()
    scopes = {"GET": "read"}


class FeedbackFileCancel(SeesOwn, generics.GenericAPIView[FeedbackFile]):
    """The end of a file before its time; what was told of it stays."""

    queryset = _FILES
    serializer_class = FeedbackFileSerializer
    scopes = {"POST": "feedback"}

    @extend_schema(request=None, responses=FeedbackFileSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The file, cancelled; cancelled already, it stays as it is. 409 where it has succeeded or failed."""
        refuse_unknown(request, set())
        RefusesUnknownFields(data=request.data).is_valid(raise_exception=True)
        grant = grant_of(request)
        file = _FILES.seen_by(grant).filter(pk=pk).first()
        if file is None:
            raise NotFound(f"There is no feedback file with the id {pk}.")
        grant.demand("feedback", file.parent_endpoint.team_id)
        feedback_files.cancel(file.pk)
        return Response(_record(file.pk))


def _record(file_id: int) -> dict[str, Any]:
    # A plain mapping: the page would make its form of the fields of whatever serializer it finds on the reply.
    return dict(FeedbackFileSerializer(_FILES.get(pk=file_id)).data)
