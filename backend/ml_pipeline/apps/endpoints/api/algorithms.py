"""Views of algorithms, their tags and their statuses."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.endpoints import algorithms, statuses, tags
from ml_pipeline.apps.endpoints.api import uploads, waiting
from ml_pipeline.apps.endpoints.api.serializers import (
    AlgorithmDetailSerializer,
    AlgorithmSerializer,
    ReasonSerializer,
    StatusSerializer,
    TagSerializer,
)
from ml_pipeline.apps.endpoints.models import AlgorithmTag, MLAlgorithm, MLAlgorithmStatus, Status
from ml_pipeline.rest.lists import FlagFilter, RowIdFilter, refuse_unknown
from ml_pipeline.rest.parsers import UploadParser

_ALGORITHMS = MLAlgorithm.objects.select_related("parent_endpoint", "active_status").prefetch_related("tags", "aliases")


class AlgorithmFilters(django_filters.FilterSet):
    """Filters of the list of algorithms."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    status = django_filters.ChoiceFilter(field_name="active_status__status", choices=Status.choices)
    tag = django_filters.CharFilter(method="tagged", label="A tag: NAME, or NAME:VALUE.")

    class Meta:
        model = MLAlgorithm
        fields = ("name", "version")

    def tagged(self, queryset: QuerySet[MLAlgorithm], field: str, tag: str) -> QuerySet[MLAlgorithm]:
        """Those that have the tag, with any value or with the one after the colon."""
        name, colon, value = tag.partition(":")
        wanted: dict[str, Any] = {"tags__name": name}
        if colon:
            wanted["tags__value"] = value
        return queryset.filter(**wanted)


class AlgorithmList(SeesOwn, generics.ListAPIView[MLAlgorithm]):
    """All algorithms, newest first; `POST` registers one from its files."""

    # The profile is large, and only the reply for one algorithm has it.
    queryset = _ALGORITHMS.defer("reference_profile")
    filterset_class = AlgorithmFilters
    parser_classes = (UploadParser,)
    scopes = {"GET": "read", "POST": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The algorithm when read, the form when uploaded: pages and OPTIONS show the matching fields."""
        return AlgorithmSerializer if self.request.method in SAFE_METHODS else uploads.UploadSerializer

    @waiting.awaited
    @extend_schema(
        request={"multipart/form-data": uploads.UploadSerializer},
        responses={201: AlgorithmDetailSerializer, 200: AlgorithmDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """The record of the algorithm, in status `testing`; 200 with the present one when it is the same again."""
        refuse_unknown(request, {waiting.PARAMETER})
        form = self.get_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        done = algorithms.register(
            uploads.submission(values),
            endpoint=values["endpoint"],
            name=values["name"],
            version=values["version"],
            grant=grant_of(request),
        )
        # A plain mapping: the page would make its form of the fields of whatever serializer it finds on the reply.
        record = dict(AlgorithmDetailSerializer(_ALGORITHMS.get(pk=done.algorithm.pk)).data)
        return Response(record, status=status.HTTP_201_CREATED if done.created else status.HTTP_200_OK)


class AlgorithmDetail(SeesOwn, generics.RetrieveAPIView[MLAlgorithm]):
    """One algorithm, with its reference profile."""

    queryset = _ALGORITHMS
    serializer_class = AlgorithmDetailSerializer
    filter_backends = ()
    scopes = {"GET": "read"}


class AlgorithmArchive(SeesOwn, generics.GenericAPIView[MLAlgorithmStatus]):
    """The end of an algorithm's life: its history stays, it answers no more."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = ReasonSerializer
    scopes = {"POST": "manage"}

    @waiting.awaited
    @extend_schema(responses={201: StatusSerializer, 200: StatusSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The step to `archived`; 200 when it was archived already."""
        refuse_unknown(request, {waiting.PARAMETER})
        grant = grant_of(request)
        algorithm = algorithms.identified(pk, grant, "manage")
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change = statuses.archive(algorithm, actor=grant.actor, reason=body.validated_data["reason"])
        return _reply(change)


class AlgorithmTagDetail(SeesOwn, generics.GenericAPIView[AlgorithmTag]):
    """One tag of an algorithm: read, put with a value, or removed."""

    queryset = AlgorithmTag.objects.all()
    serializer_class = TagSerializer
    scopes = {"GET": "read", "PUT": "manage", "DELETE": "manage"}

    def get(self, request: Request, pk: int, name: str) -> Response:
        """The tag. 404 when there is none of this name."""
        refuse_unknown(request, set())
        return Response(self.get_serializer(tags.named(algorithms.identified(pk, grant_of(request)), name)).data)

    @extend_schema(responses={201: TagSerializer, 200: TagSerializer})
    def put(self, request: Request, pk: int, name: str) -> Response:
        """The tag as it is now; 200 when there was one of this name."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        algorithm = algorithms.identified(pk, grant, "manage")
        body = TagSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        value = body.validated_data["value"]
        created = tags.put(algorithm, name, value, actor=grant.actor)
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response({"name": name, "value": value}, status=code)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int, name: str) -> Response:
        """Nothing. 404 when there was none of this name."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        tags.remove(algorithms.identified(pk, grant, "manage"), name, actor=grant.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class StatusFilters(django_filters.FilterSet):
    """Filters of the list of statuses."""

    active = FlagFilter(field_name="active_of", lookup_expr="isnull", exclude=True)
    endpoint = django_filters.CharFilter(field_name="parent_mlalgorithm__parent_endpoint__name")
    # By number: whether another team's exists is not told.
    parent_mlalgorithm = RowIdFilter(field_name="parent_mlalgorithm_id")

    class Meta:
        model = MLAlgorithmStatus
        fields = ("status",)


class StatusList(SeesOwn, generics.ListCreateAPIView[MLAlgorithmStatus]):
    """Every step of every algorithm, newest first; `POST` moves an algorithm to another status."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = StatusSerializer
    filterset_class = StatusFilters
    scopes = {"GET": "read", "POST": "manage"}

    @waiting.awaited
    @extend_schema(responses={201: StatusSerializer, 200: StatusSerializer})
    def post(self, request: Request) -> Response:
        """The new step; 200 with the present one when the algorithm has that status already."""
        refuse_unknown(request, {waiting.PARAMETER})
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        grant = grant_of(request)
        algorithm = algorithms.identified(values["parent_mlalgorithm"].pk, grant, "manage")
        change = statuses.move(algorithm, values["status"], actor=grant.actor, reason=values["reason"])
        return _reply(change)


class StatusDetail(SeesOwn, generics.RetrieveAPIView[MLAlgorithmStatus]):
    """One step."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = StatusSerializer
    filter_backends = ()
    scopes = {"GET": "read"}


def _reply(change: statuses.Change) -> Response:
    code = status.HTTP_201_CREATED if change.changed else status.HTTP_200_OK
    return Response(StatusSerializer(change.status).data, status=code)
