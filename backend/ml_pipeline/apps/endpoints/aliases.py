"""Aliases: names under an endpoint, each for one of its algorithms, which clients may ask for whatever its status."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import changes, endpoints, names
from ml_pipeline.apps.endpoints.models import Endpoint, EndpointAlias, MLAlgorithm, MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound


class Change(NamedTuple):
    """An alias, and whether it was made now or stood already, with this algorithm or another."""

    alias: EndpointAlias
    created: bool


def named(endpoint: Endpoint, name: str) -> EndpointAlias:
    """The alias `name` of `endpoint`. Raises NotFound."""
    rows = EndpointAlias.objects.select_related("parent_mlalgorithm").filter(parent_endpoint=endpoint, name=name)
    # Looked at first: a database may choke on what cannot be a name.
    alias = rows.first() if re.match(names.PATTERN, name) else None
    if alias is None:
        raise NotFound(f"{endpoint.name!r} has no alias {name[:100]!r}.")
    return alias


def put(endpoint: Endpoint, name: str, algorithm: MLAlgorithm, *, actor: str) -> Change:
    """The alias `name` of `endpoint`, which names `algorithm` now. The same again changes nothing.

    Raises InvalidInput for a bad name, and Conflict for an algorithm that is archived or another endpoint's.
    """
    if not re.match(names.PATTERN, name):
        expected = "an alias: a lower-case letter, then up to 62 of a-z, 0-9, _ and -"
        raise InvalidInput([Complaint(None, "alias", expected, repr(name[:80]))])
    if algorithm.parent_endpoint_id != endpoint.pk:
        raise Conflict(f"{algorithm} belongs to another endpoint; an alias names an algorithm of its own.")
    with transaction.atomic():
        # Whoever archives it locks the endpoint too.
        endpoint = endpoints.locked(endpoint.pk)
        if MLAlgorithmStatus.objects.filter(active_of=algorithm, status=Status.ARCHIVED).exists():
            raise Conflict(f"{algorithm} is archived and answers no more; an alias names one that can answer.")
        present = EndpointAlias.objects.filter(parent_endpoint=endpoint, name=name).first()
        if present is not None and present.parent_mlalgorithm_id == algorithm.pk:
            return Change(present, False)
        before = present.parent_mlalgorithm_id if present else None
        alias = present or EndpointAlias(parent_endpoint=endpoint, name=name)
        alias.parent_mlalgorithm = algorithm
        alias.created_by, alias.created_at = actor, timezone.now()
        alias.save()
        changes.record("alias.put", name, endpoint, actor=actor, algorithm=algorithm.pk, before=before)
        revisions.raise_revision()
        return Change(alias, present is None)


def remove(endpoint: Endpoint, name: str, *, actor: str) -> None:
    """`endpoint` has no alias `name` any more. Raises NotFound when it had none."""
    # Looked at first: a database may choke on what cannot be a name.
    known = re.match(names.PATTERN, name) is not None
    with transaction.atomic():
        endpoint = endpoints.locked(endpoint.pk)
        if not known or not EndpointAlias.objects.filter(parent_endpoint=endpoint, name=name).delete()[0]:
            raise NotFound(f"{endpoint.name!r} has no alias {name[:100]!r}.")
        changes.record("alias.removed", name, endpoint, actor=actor)
        revisions.raise_revision()
