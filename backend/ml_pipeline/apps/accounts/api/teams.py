"""Views of teams and of the people in them."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.api.serializers import MemberSerializer, TeamChangeSerializer, TeamSerializer
from ml_pipeline.apps.accounts.authentication import SeesOwn, grant_of
from ml_pipeline.apps.accounts.models import Membership, Team
from ml_pipeline.rest.lists import refuse_unknown


class TeamList(SeesOwn, generics.ListAPIView[Team]):
    """The teams that exist for whoever asks; `POST` makes one."""

    queryset = Team.objects.all()
    serializer_class = TeamSerializer
    filter_backends = ()
    scopes = {"GET": "read", "POST": "admin"}

    def get(self, request: Request) -> Response:
        """The list."""
        refuse_unknown(request, {"limit", "before"})
        return super().get(request)

    @extend_schema(responses={201: TeamSerializer})
    def post(self, request: Request) -> Response:
        """The new team. Only for whoever has `admin` in all teams."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        grant.demand("admin", None)
        body = TeamSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        team = teams.create(values["name"], values, actor=grant.actor)
        return Response(TeamSerializer(team).data, status=status.HTTP_201_CREATED)


class TeamDetail(SeesOwn, generics.GenericAPIView[Team]):
    """One team: read, or described anew."""

    queryset = Team.objects.all()
    serializer_class = TeamChangeSerializer
    scopes = {"GET": "read", "PATCH": "admin"}

    def get(self, request: Request, name: str) -> Response:
        """The team."""
        refuse_unknown(request, set())
        return Response(TeamSerializer(teams.named(name, grant_of(request))).data)

    @extend_schema(responses=TeamSerializer)
    def patch(self, request: Request, name: str) -> Response:
        """The team as it is now. Its quotas are changed by whoever has `admin` in all teams only."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        team = teams.named(name, grant, "admin")
        body = TeamChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        if not values.keys().isdisjoint(teams.QUOTAS):
            grant.demand("admin", None)
        return Response(TeamSerializer(teams.change(team, values, actor=grant.actor)).data)


class MemberList(SeesOwn, generics.ListAPIView[Membership]):
    """The people in a team, newest first."""

    queryset = Membership.objects.select_related("user")
    serializer_class = MemberSerializer
    filter_backends = ()
    scopes = {"GET": "admin"}

    def get_queryset(self) -> QuerySet[Membership]:
        """The people in this team."""
        team = teams.named(self.kwargs["name"], grant_of(self.request), "admin")
        return super().get_queryset().filter(team=team)

    def get(self, request: Request, name: str) -> Response:
        """The list."""
        refuse_unknown(request, {"limit", "before"})
        return super().get(request)


class MemberDetail(SeesOwn, generics.GenericAPIView[Membership]):
    """One person in a team: read, put in a role, or removed."""

    queryset = Membership.objects.all()
    serializer_class = MemberSerializer
    scopes = {"GET": "admin", "PUT": "admin", "DELETE": "admin"}

    def get(self, request: Request, name: str, username: str) -> Response:
        """What he is in the team. 404 when he is not in it."""
        refuse_unknown(request, set())
        return Response(self.get_serializer(teams.member(teams.named(name, grant_of(request), "admin"), username)).data)

    @extend_schema(responses={201: MemberSerializer, 200: MemberSerializer})
    def put(self, request: Request, name: str, username: str) -> Response:
        """What he is now; 200 when he was in the team already. 404 when there is no such person."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        team = teams.named(name, grant, "admin")
        body = MemberSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change = teams.put_member(team, username, body.validated_data["role"], actor=grant.actor)
        code = status.HTTP_201_CREATED if change.created else status.HTTP_200_OK
        return Response(MemberSerializer(change.membership).data, status=code)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, username: str) -> Response:
        """Nothing. 404 when he was not in it."""
        refuse_unknown(request, set())
        grant = grant_of(request)
        teams.remove_member(teams.named(name, grant, "admin"), username, actor=grant.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
