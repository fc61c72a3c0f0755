"""Views of API keys."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts import keys, teams
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.accounts.api.serializers import (
    KeyCreatedSerializer,
    KeyQuotasSerializer,
    KeySerializer,
    NewKeySerializer,
)
from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.accounts.models import ApiKey, Team
from ml_pipeline.errors import NotFound
from ml_pipeline.rest.lists import refuse_unknown


class KeyFilters(django_filters.FilterSet):
    """Filters of the list of keys."""

    team = django_filters.CharFilter(field_name="team__name")

    class Meta:
        model = ApiKey
        fields = ("name", "owner")


class KeyList(SeesOwn, generics.ListAPIView[ApiKey]):
    """The keys, newest first, without their secrets; `POST` makes one and shows its secret once."""

    queryset = ApiKey.objects.select_related("team")
    filterset_class = KeyFilters
    scopes = {"GET": "admin", "POST": "admin"}

    def get_serializer_class(self) -> type[KeySerializer | NewKeySerializer]:
        """The key when read, what it shall be when made."""
        return KeySerializer if self.request.method in SAFE_METHODS else NewKeySerializer

    @extend_schema(request=NewKeySerializer, responses={201: KeyCreatedSerializer})
    def post(self, request: Request) -> Response:
        """The new key with its secret. Its team is the one named, or the only one in which the caller has `admin`."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        body = NewKeySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        key, secret = keys.create(
            values["name"],
            values["scopes"],
            actor=grant.actor,
            team=_team(values.get("team"), grant),
            owner=values["owner"],
            endpoint_ids=values["endpoints"],
            expires_at=values["expires_at"],
            requests_per_s=values.get("requests_per_s"),
            rows_per_day=values.get("rows_per_day"),
        )
        return Response({**KeySerializer(key).data, "key": secret}, status=status.HTTP_201_CREATED)


class KeyDetail(SeesOwn, generics.RetrieveAPIView[ApiKey]):
    """One key: read, or given other quotas."""

    queryset = ApiKey.objects.select_related("team")
    filter_backends = ()
    scopes = {"GET": "admin", "PATCH": "admin"}

    def get_serializer_class(self) -> type[KeySerializer | KeyQuotasSerializer]:
        """The key when read, what may change of it when written."""
        return KeySerializer if self.request.method in SAFE_METHODS else KeyQuotasSerializer

    @extend_schema(request=KeyQuotasSerializer, responses=KeySerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """The key as it is now. Its quotas are served everywhere within a second."""
        refuse_unknown(request, set())
        key = _own(self.get_queryset(), pk, request)
        body = KeyQuotasSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        now = {"requests_per_s": key.requests_per_s, "rows_per_day": key.rows_per_day, **body.validated_data}
        return Response(KeySerializer(keys.limit(key, **now, actor=grant_of(request).actor)).data)


class KeyRevocation(SeesOwn, generics.GenericAPIView[ApiKey]):
    """The end of a key: valid nowhere within a second."""

    queryset = ApiKey.objects.select_related("team")
    serializer_class = KeySerializer
    scopes = {"POST": "admin"}

    @extend_schema(request=None, responses=KeySerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The key as it is now; revoked already, nothing changes."""
        refuse_unknown(request, set())
        key = _own(self.get_queryset(), pk, request)
        return Response(KeySerializer(keys.revoke(key, actor=grant_of(request).actor)).data)


def _own(rows: QuerySet[ApiKey], pk: int, request: Request) -> ApiKey:
    key = rows.filter(pk=pk).first()
    if key is None:
        raise NotFound(f"There is no API key with the id {pk}.")
    grant_of(request).demand("admin", key.team_id)
    return key


def _team(name: str | None, grant: Grant) -> Team:
    return teams.meant(name, grant, "admin")
