"""Endpoints: created, described, deleted while nothing was registered under them."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import changes, input_rules, names
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound


def named(name: str, grant: Grant, scope: str = "read") -> Endpoint:
    """The endpoint called `name`. Raises NotFound, and Forbidden when `grant` lacks `scope` on it."""
    endpoint = Endpoint.objects.seen_by(grant).filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"There is no endpoint named {name[:100]!r}.")
    grant.demand(scope, endpoint.team_id)
    return endpoint


def name_of(endpoint_id: int) -> str | None:
    """The name of the endpoint with that id; None where there is none."""
    return Endpoint.objects.filter(pk=endpoint_id).values_list("name", flat=True).first()


def locked(endpoint_id: int) -> Endpoint:
    """The endpoint with that id, locked until the caller's transaction ends. Raises NotFound when it is gone."""
    endpoint = Endpoint.objects.select_for_update().filter(pk=endpoint_id).first()
    if endpoint is None:
        raise NotFound("The endpoint was deleted meanwhile.")
    return endpoint


def create(name: str, team: Team, *, actor: str, owner: str = "", description: str = "") -> Endpoint:
    """A new endpoint of `team`. Raises InvalidInput for a bad name and Conflict for one in use."""
    check_name(name, "name")
    endpoint = Endpoint(team=team, name=name, owner=owner, description=description, created_at=timezone.now())
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
            changes.record("endpoint.created", endpoint, endpoint, actor=actor, owner=owner, description=description)
            revisions.raise_revision()
    except IntegrityError:
        raise Conflict(f"The name {name!r} is taken by another endpoint.") from None
    return endpoint


def check_name(name: str, field: str) -> None:
    """Returns when an endpoint may be called `name`, which came as `field`. Raises InvalidInput."""
    if not re.match(names.PATTERN, name):
        raise InvalidInput(
            [Complaint(None, field, "a lower-case letter, then up to 62 of a-z, 0-9, _ and -", repr(name[:80]))]
        )
    if name in names.RESERVED:
        raise InvalidInput([Complaint(None, field, "a name that the API does not use itself", repr(name))])


def describe(
    endpoint: Endpoint,
    *,
    actor: str,
    owner: str | None = None,
    description: str | None = None,
    settings: object = None,
) -> Endpoint:
    """`endpoint` with another owner, description or other settings; the name never changes, it is in clients' URLs.

    `settings` are all that differ from the defaults. The same again changes nothing. Raises InvalidInput for some that
    there are not.
    """
    checked = None if settings is None else input_rules.checked(settings)
    with transaction.atomic():
        endpoint = locked(endpoint.pk)
        before = (endpoint.owner, endpoint.description, endpoint.settings)
        endpoint.owner = endpoint.owner if owner is None else owner
        endpoint.description = endpoint.description if description is None else description
        endpoint.settings = endpoint.settings if checked is None else checked
        if (endpoint.owner, endpoint.description, endpoint.settings) == before:
            return endpoint
        endpoint.save(update_fields=["owner", "description", "settings"])
        changes.record(
            "endpoint.changed",
            endpoint,
            endpoint,
            actor=actor,
            owner=endpoint.owner,
            description=endpoint.description,
            settings=endpoint.settings,
        )
        revisions.raise_revision()
    return endpoint


def delete(endpoint: Endpoint, *, actor: str) -> None:
    """`endpoint` is gone. Raises Conflict when algorithms are registered under it: archive those instead."""
    with transaction.atomic():
        present = locked(endpoint.pk)
        if present.algorithms.exists():
            raise Conflict(
                f"The endpoint {endpoint.name!r} has algorithms, whose history is kept; archive them instead."
            )
        changes.record("endpoint.deleted", present, present, actor=actor)
        present.delete()
        revisions.raise_revision()
