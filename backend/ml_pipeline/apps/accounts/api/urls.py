"""The routes of teams, keys and the audit under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path

from ml_pipeline.apps.accounts.api import events, keys, teams
from ml_pipeline.rest import converters

converters.register()

urlpatterns = [
    path("teams", teams.TeamList.as_view(), name="teams"),
    path("teams/<str:name>", teams.TeamDetail.as_view(), name="team"),
    path("teams/<str:name>/members", teams.MemberList.as_view(), name="team-members"),
    path("teams/<str:name>/members/<str:username>", teams.MemberDetail.as_view(), name="team-member"),
    path("keys", keys.KeyList.as_view(), name="keys"),
    path("keys/<id:pk>", keys.KeyDetail.as_view(), name="key"),
    path("keys/<id:pk>/revoke", keys.KeyRevocation.as_view(), name="key-revoke"),
    path("events", events.EventList.as_view(), name="events"),
]
