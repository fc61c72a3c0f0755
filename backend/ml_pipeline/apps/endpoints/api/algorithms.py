"""Views of algorithms and their statuses."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import actor_of
from ml_pipeline.apps.endpoints import algorithms, statuses
from ml_pipeline.apps.endpoints.api.serializers import AlgorithmSerializer, ReasonSerializer, StatusSerializer
from ml_pipeline.apps.endpoints.models import MLAlgorithm, MLAlgorithmStatus, Status
from ml_pipeline.rest.lists import refuse_unknown

_ALGORITHMS = MLAlgorithm.objects.select_related("parent_endpoint", "active_status")


class AlgorithmFilters(django_filters.FilterSet):
    """Filters of the list of algorithms."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    status = django_filters.ChoiceFilter(field_name="active_status__status", choices=Status.choices)

    class Meta:
        model = MLAlgorithm
        fields = ("name", "version")


class AlgorithmList(generics.ListAPIView[MLAlgorithm]):
    """All algorithms, newest first."""

    queryset = _ALGORITHMS
    serializer_class = AlgorithmSerializer
    filterset_class = AlgorithmFilters


class AlgorithmDetail(generics.RetrieveAPIView[MLAlgorithm]):
    """One algorithm."""

    queryset = _ALGORITHMS
    serializer_class = AlgorithmSerializer
    filter_backends = ()


class AlgorithmArchive(generics.GenericAPIView[MLAlgorithmStatus]):
    """The end of an algorithm's life: its history stays, it answers no more."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = ReasonSerializer

    @extend_schema(responses={201: StatusSerializer, 200: StatusSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The step to `archived`; 200 when it was archived already."""
        refuse_unknown(request, set())
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change = statuses.archive(
            algorithms.identified(pk), actor=actor_of(request).name, reason=body.validated_data["reason"]
        )
        return _reply(change)


class StatusFilters(django_filters.FilterSet):
    """Filters of the list of statuses."""

    active = django_filters.BooleanFilter(field_name="active_of", lookup_expr="isnull", exclude=True)
    endpoint = django_filters.CharFilter(field_name="parent_mlalgorithm__parent_endpoint__name")

    class Meta:
        model = MLAlgorithmStatus
        fields = ("status", "parent_mlalgorithm")


class StatusList(generics.ListCreateAPIView[MLAlgorithmStatus]):
    """Every step of every algorithm, newest first; `POST` moves an algorithm to another status."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = StatusSerializer
    filterset_class = StatusFilters

    @extend_schema(responses={201: StatusSerializer, 200: StatusSerializer})
    def post(self, request: Request) -> Response:
        """The new step; 200 with the present one when the algorithm has that status already."""
        refuse_unknown(request, set())
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        change = statuses.move(
            values["parent_mlalgorithm"], values["status"], actor=actor_of(request).name, reason=values["reason"]
        )
        return _reply(change)


class StatusDetail(generics.RetrieveAPIView[MLAlgorithmStatus]):
    """One step."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = StatusSerializer
    filter_backends = ()


def _reply(change: statuses.Change) -> Response:
    code = status.HTTP_201_CREATED if change.changed else status.HTTP_200_OK
    return Response(StatusSerializer(change.status).data, status=code)
