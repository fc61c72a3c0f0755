"""The view of the audit of changes."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import generics

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.accounts.api.serializers import EventSerializer
from ml_pipeline.apps.accounts.authentication import grant_of
from ml_pipeline.apps.events.models import Event
from ml_pipeline.rest.moments import MomentFilter


def _grant(request: Any) -> Grant:
    # Filters are typed for Django's requests, and get DRF's.
    return grant_of(request)


class EventFilters(django_filters.FilterSet):
    """Filters of the audit."""

    team = django_filters.CharFilter(method="of_team")
    since = MomentFilter(field_name="created_at", lookup_expr="gte")
    until = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Event
        fields = ("action", "subject", "actor")

    def of_team(self, queryset: QuerySet[Event], field: str, name: str) -> QuerySet[Event]:
        """What concerns the team of that name."""
        return queryset.filter(team_id=teams.named(name, _grant(self.request)).pk)


class EventList(generics.ListAPIView[Event]):
    """Who did what, when, from where, newest first: in the teams in which whoever asks has `admin`."""

    queryset = Event.objects.all()
    serializer_class = EventSerializer
    filterset_class = EventFilters
    scopes = {"GET": "admin"}

    def get_queryset(self) -> QuerySet[Event]:
        """What whoever asks may see. What concerns no team is for whoever has `admin` in all."""
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows
        return seen_by(rows, grant_of(self.request))


def seen_by(rows: QuerySet[Event], grant: Grant) -> QuerySet[Event]:
    """Those of `rows` that are for whoever holds `grant`."""
    return rows if "admin" in grant.everywhere else rows.filter(team_id__in=grant.team_ids("admin"))
