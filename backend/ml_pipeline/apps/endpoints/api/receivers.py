"""Views of the receivers of events, and of what is on its way to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts import receivers as owned
from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, grant_of
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.endpoints.api.receiver_serializers import (
    DeliverySerializer,
    NewReceiverSerializer,
    ReceiverChangeSerializer,
    ReceiverSecretSerializer,
    ReceiverSerializer,
)
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.events import receivers
from ml_pipeline.apps.events.models import Delivery, DeliveryState, Kind, Receiver
from ml_pipeline.apps.events.receivers import Place
from ml_pipeline.errors import Complaint, Forbidden, InvalidInput, NotFound
from ml_pipeline.rest.lists import FlagFilter, refuse_unknown
from ml_pipeline.rest.serializers import RefusesUnknownFields

_NAMED = Receiver.objects.annotate(
    team_name=Subquery(Team.objects.filter(pk=OuterRef("team_id")).values("name")[:1]),
    endpoint_name=Subquery(Endpoint.objects.filter(pk=OuterRef("endpoint_id")).values("name")[:1]),
)


class ReceiverFilters(django_filters.FilterSet):
    """Filters of the list of receivers."""

    team = django_filters.CharFilter(field_name="team_name")
    endpoint = django_filters.CharFilter(field_name="endpoint_name")
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    is_active = FlagFilter()

    class Meta:
        model = Receiver
        fields = ()


class _Receivers(generics.GenericAPIView[Any]):
    queryset = _NAMED

    def get_queryset(self) -> QuerySet[Receiver]:
        """Those that exist for whoever asks."""
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows
        return owned.seen_by(rows, grant_of(self.request))

    def get_serializer_context(self) -> dict[str, Any]:
        """With it who asks: he may see whole addresses, or not."""
        context = dict(super().get_serializer_context())
        return context if getattr(self, "swagger_fake_view", False) else {**context, "grant": grant_of(self.request)}


class ReceiverList(_Receivers, generics.ListAPIView[Any]):
    """The receivers, newest first, without their secrets; `POST` makes one and shows its secret once."""

    filterset_class = ReceiverFilters
    scopes = {"GET": "read", "POST": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The receiver when read, what it shall be when made."""
        return ReceiverSerializer if self.request.method in SAFE_METHODS else NewReceiverSerializer

    @extend_schema(request=NewReceiverSerializer, responses={201: ReceiverSecretSerializer})
    def post(self, request: Request) -> Response:
        """The new receiver with its secret; of the endpoint or team that is named, or as with a new key."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        body = NewReceiverSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        place = _place(values, grant)
        owned.demand_administration(place.team_id, grant, values.get("administration", False))
        made, secret = receivers.create(place, values["kind"], values, actor=grant.actor)
        return Response(_with_secret(made.pk, secret, grant), status=status.HTTP_201_CREATED)


class ReceiverDetail(_Receivers):
    """One receiver: read, changed or removed."""

    filter_backends = ()
    scopes = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The receiver when read, what may change of it when written."""
        return ReceiverSerializer if self.request.method in SAFE_METHODS else ReceiverChangeSerializer

    @extend_schema(responses=ReceiverSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The receiver."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        return Response(_record(owned.found(pk, grant).pk, grant))

    @extend_schema(request=ReceiverChangeSerializer, responses=ReceiverSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """The receiver as it is now."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        receiver = owned.found(pk, grant, "manage")
        body = ReceiverChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        owned.demand_administration(receiver.team_id, grant, body.validated_data.get("administration", False))
        receivers.change(pk, body.validated_data, actor=grant.actor)
        return Response(_record(pk, grant))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Nothing. What waits for it is not sent any more."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        receivers.remove(owned.found(pk, grant, "manage").pk, actor=grant.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReceiverTest(_Receivers):
    """An event to try a receiver with."""

    serializer_class = DeliverySerializer
    scopes = {"POST": "manage"}

    @extend_schema(request=None, responses={201: DeliverySerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The delivery of a `receiver.test`, which goes the way of all events. 409 where it is switched off."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        receiver = owned.found(pk, grant, "manage")
        RefusesUnknownFields(data=request.data).is_valid(raise_exception=True)
        delivery = receivers.test(receiver.pk, actor=grant.actor)
        return Response(dict(DeliverySerializer(delivery).data), status=status.HTTP_201_CREATED)


class ReceiverRotation(_Receivers):
    """Another secret for a receiver."""

    serializer_class = ReceiverSecretSerializer
    scopes = {"POST": "manage"}

    @extend_schema(request=None, responses=ReceiverSecretSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The receiver with its new secret; until `previous_until_at` webhooks are signed with the old one too."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        receiver = owned.found(pk, grant, "manage")
        RefusesUnknownFields(data=request.data).is_valid(raise_exception=True)
        _, secret = receivers.rotate(receiver.pk, actor=grant.actor)
        return Response(_with_secret(receiver.pk, secret, grant))


class DeliveryFilters(django_filters.FilterSet):
    """Filters of the list of deliveries."""

    state = django_filters.ChoiceFilter(choices=DeliveryState.choices)
    type = django_filters.CharFilter(field_name="action")

    class Meta:
        model = Delivery
        fields = ()


class DeliveryList(generics.ListAPIView[Delivery]):
    """What is on its way to a receiver, and what was for a month past, newest first."""

    queryset = Delivery.objects.all()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilters
    scopes = {"GET": "read"}

    def get_queryset(self) -> QuerySet[Delivery]:
        """Those of this receiver."""
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows
        return rows.filter(receiver_id=owned.found(self.kwargs["pk"], grant_of(self.request)).pk)


class DeliveryRetry(generics.GenericAPIView[Delivery]):
    """One event, sent to a receiver again."""

    queryset = Delivery.objects.all()
    serializer_class = DeliverySerializer
    scopes = {"POST": "manage"}

    @extend_schema(request=None, responses=DeliverySerializer)
    def post(self, request: Request, pk: int, uid: UUID) -> Response:
        """The delivery, on its way whatever has become of it; what was not tried yet stays as it is."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        receiver = owned.found(pk, grant, "manage")
        delivery = Delivery.objects.filter(uid=uid, receiver_id=receiver.pk).first()
        if delivery is None:
            raise NotFound(f"There is no delivery {uid} to the receiver {pk}.")
        RefusesUnknownFields(data=request.data).is_valid(raise_exception=True)
        return Response(dict(DeliverySerializer(receivers.retry(delivery.pk, actor=grant.actor)).data))


def _place(values: Mapping[str, Any], grant: Grant) -> Place:
    if values.get("endpoint") is not None:
        endpoint = endpoints.named(values["endpoint"], grant, "manage")
        if values.get("team") not in (None, endpoint.team.name):
            raise InvalidInput([Complaint(None, "team", "the team of the endpoint, or nothing", repr(values["team"]))])
        return Place(endpoint.team_id, endpoint.pk)
    if "team" in values and values["team"] is None:
        if grant.endpoint_ids is not None:
            raise Forbidden("This key is for some endpoints only; name one.")
        grant.demand("manage", None)
        return Place(None)
    return Place(teams.meant(values.get("team"), grant, "manage").pk)


def _record(pk: int, grant: Grant) -> dict[str, Any]:
    receiver = _NAMED.filter(pk=pk).first()
    if receiver is None:
        raise NotFound(f"There is no receiver with the id {pk}.")
    # A plain mapping: a page would make its form of the fields of whatever serializer it finds on the reply.
    return dict(ReceiverSerializer(receiver, context={"grant": grant}).data)


def _with_secret(pk: int, secret: str | None, grant: Grant) -> dict[str, Any]:
    return {**_record(pk, grant), "secret": secret}
