"""Views of an endpoint's aliases."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SeesOwn, grant_of
from ml_pipeline.apps.endpoints import aliases, endpoints
from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.apps.endpoints.api.serializers import AliasSerializer
from ml_pipeline.apps.endpoints.models import EndpointAlias
from ml_pipeline.rest.lists import refuse_unknown


class AliasList(SeesOwn, generics.ListAPIView[EndpointAlias]):
    """The aliases of one endpoint, newest first."""

    queryset = EndpointAlias.objects.all()
    serializer_class = AliasSerializer
    filter_backends = ()
    scopes = {"GET": "read"}

    def get_queryset(self) -> QuerySet[EndpointAlias]:
        """The aliases under this endpoint."""
        endpoint = endpoints.named(self.kwargs["name"], grant_of(self.request))
        return super().get_queryset().filter(parent_endpoint=endpoint).select_related("parent_mlalgorithm")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The list."""
        refuse_unknown(request, {"limit", "before"})
        return super().get(request, *args, **kwargs)


class AliasDetail(SeesOwn, generics.GenericAPIView[EndpointAlias]):
    """One alias: read, named, renamed to another algorithm, or removed."""

    queryset = EndpointAlias.objects.all()
    serializer_class = AliasSerializer
    scopes = {"GET": "read", "PUT": "manage", "DELETE": "manage"}

    def get(self, request: Request, name: str, alias: str) -> Response:
        """The alias. 404 when there is none of this name."""
        refuse_unknown(request, set())
        return Response(self.get_serializer(aliases.named(endpoints.named(name, grant_of(request)), alias)).data)

    @waiting.awaited
    @extend_schema(responses={201: AliasSerializer, 200: AliasSerializer})
    def put(self, request: Request, name: str, alias: str) -> Response:
        """The alias as it is now; 200 when there was one of this name."""
        refuse_unknown(request, {waiting.PARAMETER})
        grant = grant_of(request)
        endpoint = endpoints.named(name, grant, "manage")
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        algorithm = body.validated_data["parent_mlalgorithm"]
        change = aliases.put(endpoint, alias, algorithm, actor=grant.actor)
        code = status.HTTP_201_CREATED if change.created else status.HTTP_200_OK
        return Response(self.get_serializer(change.alias).data, status=code)

    @waiting.awaited
    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, alias: str) -> Response:
        """Nothing. 404 when there was none of this name."""
        refuse_unknown(request, {waiting.PARAMETER})
        grant = grant_of(request)
        aliases.remove(endpoints.named(name, grant, "manage"), alias, actor=grant.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
