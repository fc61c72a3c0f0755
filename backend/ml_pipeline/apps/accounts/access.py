"""Access: who may do what, where. Everything that decides it is here, and what is not granted is refused.

An endpoint belongs to a team. Whoever acts holds scopes in teams, or in all of them; what belongs to a team in which he
holds none does not exist for him. Roles are names for scopes that a person holds in a team.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from django.db import models

from ml_pipeline.apps.accounts.quotas import Quota
from ml_pipeline.errors import Forbidden

SCOPES: Final = ("predict", "feedback", "read", "manage", "admin")
ALL: Final = frozenset(SCOPES)


class Role(models.TextChoices):
    """What a person is in a team."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


SCOPES_OF: Final[Mapping[str, frozenset[str]]] = {
    Role.VIEWER: frozenset({"read"}),
    Role.OPERATOR: frozenset({"predict", "feedback", "read", "manage"}),
    Role.ADMINISTRATOR: ALL,
}


def included(scopes: Iterable[str]) -> frozenset[str]:
    """`scopes` and what they include: `admin` includes all others."""
    given = frozenset(scopes)
    return ALL if "admin" in given else given


@dataclass(frozen=True, slots=True)
class Grant:
    """Who acts, and the scopes that he holds: `everywhere`, and by the id of a team in `teams`.

    `actor` is his name in history and audit: `key:NAME`, `user:NAME` or `operator:NAME`. `endpoint_ids` are the only
    endpoints that exist for him, None for no such limit. `expires_s` is in seconds since 1970; `quotas` are his own and
    his team's.
    """

    actor: str
    everywhere: frozenset[str] = frozenset()
    teams: Mapping[int, frozenset[str]] = field(default_factory=dict)
    endpoint_ids: frozenset[int] | None = None
    key_id: int | None = None
    expires_s: float | None = None
    quotas: tuple[Quota, ...] = ()

    def allows(self, scope: str) -> bool:
        """Whether `scope` is granted anywhere."""
        return scope in self.everywhere or any(scope in scopes for scopes in self.teams.values())

    def may(self, scope: str, team_id: int, endpoint_id: int) -> bool:
        """Whether `scope` is granted on that endpoint, which belongs to that team."""
        if self.endpoint_ids is not None and endpoint_id not in self.endpoint_ids:
            return False
        return scope in self.everywhere or scope in self.teams.get(team_id, ())

    def team_ids(self, scope: str | None = None) -> list[int]:
        """The teams, named one by one, in which `scope` is granted; without a scope those in which any is."""
        return [team_id for team_id, scopes in self.teams.items() if scopes and (scope is None or scope in scopes)]

    def demand(self, scope: str, team_id: int | None) -> None:
        """Raises Forbidden when `scope` is not granted in that team; None asks for all teams."""
        if scope not in self.everywhere and (team_id is None or scope not in self.teams.get(team_id, ())):
            raise Forbidden(f"This needs the scope {scope!r} {'in all teams' if team_id is None else 'in the team'}.")


def of_role(actor: str, roles: Mapping[int, str]) -> Grant:
    """What `actor` may do with the role that he has in each of these teams."""
    return Grant(actor, teams={team_id: SCOPES_OF[role] for team_id, role in roles.items()})


def operator() -> Grant:
    """Whoever runs the server's own commands; all is his."""
    try:
        return Grant(f"operator:{getpass.getuser()}", everywhere=ALL)
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        return Grant("operator", everywhere=ALL)


M = TypeVar("M", bound=models.Model)


class OwnedRows(models.QuerySet[M]):
    """Rows that belong to teams.

    The model says where, as Django's filters name it: TEAM_PATH is its team's id, ENDPOINT_PATH its endpoint's, empty
    where rows belong to no endpoint.
    """

    def seen_by(self, grant: Grant, scope: str | None = None) -> Self:
        """Those that exist for whoever holds `grant`; where a scope is named, of the teams in which it has that."""
        owned: Any = self.model
        rows = self
        if not grant.everywhere:
            rows = rows.filter(**{f"{owned.TEAM_PATH}__in": grant.team_ids(scope)})
        if grant.endpoint_ids is not None:
            # What belongs to no endpoint is not for whoever may see some endpoints only.
            path = owned.ENDPOINT_PATH
            rows = rows.filter(**{f"{path}__in": grant.endpoint_ids}) if path else rows.none()
        return rows
