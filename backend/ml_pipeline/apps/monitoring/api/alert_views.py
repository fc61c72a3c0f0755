"""Views of alert rules and of alerts."""

from __future__ import annotations

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.monitoring import alert_rules
from ml_pipeline.apps.monitoring.api.alert_serializers import (
    AlertRuleChangeSerializer,
    AlertRuleSerializer,
    AlertSerializer,
    NewAlertRuleSerializer,
)
from ml_pipeline.apps.monitoring.measures import MEASURES
from ml_pipeline.apps.monitoring.models import Alert, AlertRule, Outcome
from ml_pipeline.errors import NotFound
from ml_pipeline.rest.lists import FlagFilter, RowIdFilter, refuse_unknown

_RULES = AlertRule.objects.select_related("parent_endpoint")
_MEASURES = [(name, name) for name in MEASURES]


class AlertRuleFilters(django_filters.FilterSet):
    """Filters of the list of rules."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    name = django_filters.CharFilter()
    measure = django_filters.ChoiceFilter(choices=_MEASURES)
    is_active = FlagFilter()

    class Meta:
        model = AlertRule
        fields = ()


class AlertRuleList(SeesOwn, generics.ListAPIView[AlertRule]):
    """The rules, newest first; `POST` makes one."""

    queryset = _RULES
    filterset_class = AlertRuleFilters
    scopes = {"GET": "read", "POST": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The rule when read, what it shall be when made."""
        return AlertRuleSerializer if self.request.method in SAFE_METHODS else NewAlertRuleSerializer

    @extend_schema(request=NewAlertRuleSerializer, responses={201: AlertRuleSerializer})
    def post(self, request: Request) -> Response:
        """The new rule. 422 for one that could never be breached, 409 for a name in use and for too many."""
        refuse_unknown(request, set())
        body = NewAlertRuleSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        grant = grant_of(request)
        endpoint = endpoints.named(body.validated_data["endpoint"], grant, "manage")
        rule = alert_rules.create(endpoint, body.validated_data, actor=grant.actor)
        return Response(_record(rule), status=status.HTTP_201_CREATED)


class AlertRuleDetail(SeesOwn, generics.GenericAPIView[AlertRule]):
    """One rule: read, changed or removed."""

    queryset = _RULES
    filter_backends = ()
    scopes = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The rule when read, what may change of it when written."""
        return AlertRuleSerializer if self.request.method in SAFE_METHODS else AlertRuleChangeSerializer

    @extend_schema(responses=AlertRuleSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The rule, and what it saw last."""
        refuse_unknown(request, set())
        return Response(_record(self._found(pk, "read")))

    @extend_schema(request=AlertRuleChangeSerializer, responses=AlertRuleSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """The rule as it is now; where it changed its open alerts are closed."""
        refuse_unknown(request, set())
        rule = self._found(pk, "manage")
        body = AlertRuleChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(_record(alert_rules.change(rule.pk, body.validated_data, actor=grant_of(request).actor)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Nothing. Its alerts stay, closed."""
        refuse_unknown(request, set())
        alert_rules.remove(self._found(pk, "manage").pk, actor=grant_of(request).actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _found(self, pk: int, scope: str) -> AlertRule:
        rule: AlertRule | None = self.get_queryset().filter(pk=pk).first()
        if rule is None:
            raise NotFound(f"There is no alert rule with the id {pk}.")
        grant_of(self.request).demand(scope, rule.parent_endpoint.team_id)
        return rule


class AlertFilters(django_filters.FilterSet):
    """Filters of the list of alerts."""

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    # By number: whether another team's exists is not told.
    rule = RowIdFilter(field_name="rule_id")
    parent_mlalgorithm = RowIdFilter(field_name="parent_mlalgorithm_id")
    name = django_filters.CharFilter()
    measure = django_filters.ChoiceFilter(choices=_MEASURES)
    outcome = django_filters.ChoiceFilter(choices=Outcome.choices)
    is_open = FlagFilter(field_name="closed_at", lookup_expr="isnull")

    class Meta:
        model = Alert
        fields = ()


class AlertList(SeesOwn, generics.ListAPIView[Alert]):
    """The alerts, newest first."""

    queryset = Alert.objects.select_related("parent_endpoint", "parent_mlalgorithm")
    serializer_class = AlertSerializer
    filterset_class = AlertFilters
    scopes = {"GET": "read"}


class AlertDetail(SeesOwn, generics.RetrieveAPIView[Alert]):
    """One alert."""

    queryset = Alert.objects.select_related("parent_endpoint", "parent_mlalgorithm")
    serializer_class = AlertSerializer
    filter_backends = ()
    scopes = {"GET": "read"}


def _record(rule: AlertRule) -> dict[str, Any]:
    # A plain mapping: a page would make its form of the fields of whatever serializer it finds on the reply.
    return dict(AlertRuleSerializer(rule).data)
