"""Hooks: what the apps above know of what an event concerns. They register when Django starts."""

from __future__ import annotations

from collections.abc import Callable

# Is given an id, and says what is called so; None where nothing is.
OfNames = Callable[[int], str | None]

_of_teams: list[OfNames] = []
_of_endpoints: list[OfNames] = []


def of_teams(hook: OfNames) -> None:
    """`hook` names teams from now on."""
    _of_teams.append(hook)


def of_endpoints(hook: OfNames) -> None:
    """`hook` names endpoints from now on."""
    _of_endpoints.append(hook)


def team(team_id: int | None) -> str | None:
    """The name of that team; None without one."""
    return _named(_of_teams, team_id)


def endpoint(endpoint_id: int | None) -> str | None:
    """The name of that endpoint; None without one, and where it is deleted."""
    return _named(_of_endpoints, endpoint_id)


def _named(hooks: list[OfNames], pk: int | None) -> str | None:
    return None if pk is None else next((name for hook in hooks if (name := hook(pk)) is not None), None)
