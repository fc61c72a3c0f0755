"""Views of endpoints: their list, one of them, its history, and rollback."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import generics, status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.authentication import SeesOwn, grant_of
from ml_pipeline.apps.endpoints import endpoints, statuses
from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.apps.endpoints.api.serializers import (
    EndpointChangeSerializer,
    EndpointSerializer,
    HistoryStepSerializer,
    ProductionAtSerializer,
    ReasonSerializer,
    StatusSerializer,
)
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus
from ml_pipeline.errors import Complaint, InvalidInput
from ml_pipeline.rest import moments
from ml_pipeline.rest.lists import refuse_unknown


class EndpointFilters(django_filters.FilterSet):
    """Filters of the list of endpoints."""

    team = django_filters.CharFilter(field_name="team__name")

    class Meta:
        model = Endpoint
        fields = ("name", "owner")


class EndpointList(SeesOwn, generics.ListCreateAPIView[Endpoint]):
    """All endpoints, newest first; `POST` makes one."""

    queryset = Endpoint.objects.select_related("team")
    scopes = {"GET": "read", "POST": "manage"}
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilters

    @waiting.awaited
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The new endpoint."""
        refuse_unknown(request, {waiting.PARAMETER})
        return super().post(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer[Endpoint]) -> None:
        """Makes it through the noun module, which knows the rules."""
        values, grant = serializer.validated_data, grant_of(self.request)
        serializer.instance = endpoints.create(
            values["name"],
            teams.meant(values.get("team", {}).get("name"), grant, "manage"),
            actor=grant.actor,
            owner=values.get("owner", ""),
            description=values.get("description", ""),
        )


class EndpointDetail(SeesOwn, generics.RetrieveUpdateDestroyAPIView[Endpoint]):
    """One endpoint: read, describe anew, or delete while it has no algorithms."""

    queryset = Endpoint.objects.all()
    scopes = {"GET": "read", "PUT": "manage", "PATCH": "manage", "DELETE": "manage"}
    serializer_class = EndpointChangeSerializer

    def get_object(self) -> Endpoint:
        """The endpoint named in the address."""
        refuse_unknown(self.request, set() if self.request.method in SAFE_METHODS else {waiting.PARAMETER})
        scope = self.scopes.get(str(self.request.method), "read")
        return endpoints.named(self.kwargs["name"], grant_of(self.request), scope)

    @waiting.awaited
    def put(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The endpoint, changed."""
        return super().put(request, *args, **kwargs)

    @waiting.awaited
    def patch(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The same as `PUT`."""
        return super().patch(request, *args, **kwargs)

    @waiting.awaited
    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Nothing. 409 when algorithms are registered under it."""
        return super().delete(request, *args, **kwargs)

    def perform_update(self, serializer: BaseSerializer[Endpoint]) -> None:
        """Changes owner, description and settings."""
        values = serializer.validated_data
        serializer.instance = endpoints.describe(
            self.get_object(),
            actor=grant_of(self.request).actor,
            owner=values.get("owner"),
            description=values.get("description"),
            settings=values.get("settings"),
        )

    def perform_destroy(self, instance: Endpoint) -> None:
        """Deletes it, or refuses with a conflict."""
        endpoints.delete(instance, actor=grant_of(self.request).actor)


class EndpointHistory(SeesOwn, generics.ListAPIView[MLAlgorithmStatus]):
    """Every step of every algorithm of the endpoint, newest first; with `?at=TIME` what was in production then."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = HistoryStepSerializer
    filter_backends = ()
    scopes = {"GET": "read"}

    def get_queryset(self) -> QuerySet[MLAlgorithmStatus]:
        """The steps under this endpoint."""
        endpoint = endpoints.named(self.kwargs["name"], grant_of(self.request))
        steps = super().get_queryset().filter(parent_mlalgorithm__parent_endpoint=endpoint)
        return steps.select_related("parent_mlalgorithm")

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "at",
                OpenApiTypes.DATETIME,
                description="A time with its offset, such as 2026-01-31T12:00:00Z: the reply is then one object, "
                "`{at, endpoint, production}`, where `production` is the step in force at that time, or null.",
            )
        ],
        responses=PolymorphicProxySerializer(
            component_name="History",
            serializers=[HistoryStepSerializer(many=True), ProductionAtSerializer],
            resource_type_field_name=None,
            many=False,
        ),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The list, or the answer to `?at=`."""
        refuse_unknown(request, {"at", "limit", "before"})
        if "at" not in request.query_params:
            return super().get(request, *args, **kwargs)
        moment = moments.read(request.query_params["at"])
        if moment is None:
            raise InvalidInput([Complaint(None, "at", moments.EXPECTED, repr(request.query_params["at"][:40]))])
        endpoint = endpoints.named(kwargs["name"], grant_of(request))
        step = statuses.production_at(endpoint, moment)
        production = HistoryStepSerializer(step).data if step else None
        return Response({"at": moment.isoformat(), "endpoint": endpoint.name, "production": production})


class EndpointRollback(SeesOwn, generics.GenericAPIView[MLAlgorithmStatus]):
    """The algorithm that was in production before, in production again."""

    queryset = MLAlgorithmStatus.objects.all()
    serializer_class = ReasonSerializer
    scopes = {"POST": "manage"}

    @waiting.awaited
    @extend_schema(responses={201: StatusSerializer})
    def post(self, request: Request, name: str) -> Response:
        """The new step into production. 409 when there is nothing to go back to."""
        refuse_unknown(request, {waiting.PARAMETER})
        grant = grant_of(request)
        endpoint = endpoints.named(name, grant, "manage")
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        step = statuses.roll_back(endpoint, actor=grant.actor, reason=body.validated_data["reason"])
        return Response(StatusSerializer(step).data, status=status.HTTP_201_CREATED)
