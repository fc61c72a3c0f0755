"""Teams: made, described; and what people are in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.accounts.access import Grant, Role
from ml_pipeline.apps.accounts.models import DEFAULT_TEAM, Membership, Origin, Team
from ml_pipeline.apps.events import audit, revisions
from ml_pipeline.errors import Complaint, Conflict, Forbidden, InvalidInput, NotFound

PATTERN: Final = r"[a-z][a-z0-9_-]{0,62}\Z"
QUOTAS: Final = ("requests_per_s", "rows_per_day")
CHANGEABLE: Final = ("description", *QUOTAS)


class Change(NamedTuple):
    """A membership, and whether it was made now or stood already, in this role or another."""

    membership: Membership
    created: bool


def named(name: str, grant: Grant, scope: str = "read") -> Team:
    """The team called `name`. Raises NotFound, and Forbidden when `grant` lacks `scope` in it."""
    # Looked at first: a database may choke on what cannot be a name.
    team = Team.objects.seen_by(grant).filter(name=name).first() if re.match(PATTERN, name) else None
    if team is None:
        raise NotFound(f"There is no team named {name[:100]!r}.")
    grant.demand(scope, team.pk)
    return team


def meant(name: str | None, grant: Grant, scope: str) -> Team:
    """The team called `name`; without a name the only one in which `grant` has `scope`, or the default team for whoever
    has it in all. Raises NotFound, Forbidden, and InvalidInput where it must be named."""
    if grant.endpoint_ids is not None:
        raise Forbidden("This key is for some endpoints only, and makes nothing new.")
    if name is not None:
        return named(name, grant, scope)
    if scope in grant.everywhere:
        return Team.objects.get(name=DEFAULT_TEAM)
    candidates = [team_id for team_id, scopes in grant.teams.items() if scope in scopes]
    if len(candidates) != 1:
        raise InvalidInput([Complaint(None, "team", "the name of one of your teams", "nothing")])
    return Team.objects.get(pk=candidates[0])


def name_of(team_id: int) -> str | None:
    """The name of the team with that id; None where there is none."""
    return Team.objects.filter(pk=team_id).values_list("name", flat=True).first()


def create(name: str, values: Mapping[str, Any], *, actor: str) -> Team:
    """A new team, `values` as for `change`. Raises InvalidInput for a bad name and Conflict for one in use."""
    if not re.match(PATTERN, name):
        expected = "a lower-case letter, then up to 62 of a-z, 0-9, _ and -"
        raise InvalidInput([Complaint(None, "name", expected, repr(name[:80]))])
    given = {one: values[one] for one in CHANGEABLE if one in values}
    team = Team(name=name, created_at=timezone.now(), **given)
    try:
        with transaction.atomic():
            team.save(force_insert=True)
            audit.record("team.created", name, actor=actor, team_id=team.pk, **given)
            revisions.raise_revision()
    except IntegrityError:
        raise Conflict(f"There is a team named {name!r} already.") from None
    return team


def change(team: Team, values: Mapping[str, Any], *, actor: str) -> Team:
    """`team` with another `description`, `requests_per_s` or `rows_per_day`, as far as `values` has them.

    Its name never changes, and the same again changes nothing. Quotas are at least 1, None for no limit.
    """
    with transaction.atomic():
        team = Team.objects.select_for_update().get(pk=team.pk)
        changed = {name: values[name] for name in CHANGEABLE if name in values and values[name] != getattr(team, name)}
        if not changed:
            return team
        for name, value in changed.items():
            setattr(team, name, value)
        team.save(update_fields=list(changed))
        audit.record("team.changed", team.name, actor=actor, team_id=team.pk, **changed)
        revisions.raise_revision()
    return team


def member(team: Team, username: str) -> Membership:
    """What `username` is in `team`. Raises NotFound."""
    rows = team.memberships.select_related("user").filter(user__username=username)
    membership = rows.first() if _may_be_a_name(username) else None
    if membership is None:
        raise NotFound(f"{username[:150]!r} is not in the team {team.name!r}.")
    return membership


def put_member(team: Team, username: str, role: str, *, actor: str) -> Change:
    """`username` is `role` in `team` now, by hand. Raises NotFound when there is no such person."""
    user = User.objects.filter(username=username).first() if _may_be_a_name(username) else None
    if user is None:
        raise NotFound(f"There is no person named {username[:150]!r}.")
    with transaction.atomic():
        present = Membership.objects.select_for_update().filter(team=team, user=user).first()
        return _put(present or Membership(team=team, user=user), role, Origin.HAND, actor=actor)


def follow(user: User, roles: Mapping[str, str], *, actor: str) -> None:
    """`user` has, of his memberships from the provider, those in `roles` (name of a team to role), and no others.

    What he is by hand stays. A team that does not exist is left out.
    """
    with transaction.atomic():
        # Two log-ins of his at once come one after the other.
        User.objects.select_for_update().get(pk=user.pk)
        rows = Membership.objects.select_for_update().select_related("team").filter(user=user)
        present = {one.team.name: one for one in rows}
        for name, membership in present.items():
            if membership.origin == Origin.PROVIDER and name not in roles:
                _remove(membership, actor=actor)
        for team in Team.objects.filter(name__in=roles):
            membership = present.get(team.name) or Membership(team=team, user=user, origin=Origin.PROVIDER)
            if membership.origin == Origin.PROVIDER:
                _put(membership, roles[team.name], Origin.PROVIDER, actor=actor)


def remove_member(team: Team, username: str, *, actor: str) -> None:
    """`username` is in `team` no more. Raises NotFound when he was not."""
    membership = member(team, username)
    with transaction.atomic():
        _remove(membership, actor=actor)


def _put(membership: Membership, role: str, origin: Origin, *, actor: str) -> Change:
    before = membership.role or None
    if (before, membership.origin) == (role, origin):
        return Change(membership, False)
    membership.role, membership.origin = Role(role), origin
    if before is None:
        membership.created_at = timezone.now()
    membership.save()
    username, team_id = membership.user.get_username(), membership.team_id
    audit.record("member.put", username, actor=actor, team_id=team_id, role=role, before=before, origin=origin)
    return Change(membership, before is None)


def _remove(membership: Membership, *, actor: str) -> None:
    username, team_id = membership.user.get_username(), membership.team_id
    membership.delete()
    audit.record("member.removed", username, actor=actor, team_id=team_id, before=membership.role)


def _may_be_a_name(username: str) -> bool:
    # A database may choke on what cannot be one.
    return len(username) <= 150 and username.isprintable()
