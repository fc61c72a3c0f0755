"""Algorithms: registered from what was submitted, once; looked up; never changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import changes, endpoints, registrations, statuses, tags
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration.submission import Registered, Submission
from ml_pipeline.apps.ml.registration.supervisor import Outcome
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound

MAX_NAME = 128


class Registration(NamedTuple):
    """An algorithm, and whether this call registered it or found it registered already."""

    algorithm: MLAlgorithm
    created: bool


def register(submission: Submission, *, endpoint: str, name: str, version: str, grant: Grant) -> Registration:
    """The algorithm `name` `version` under `endpoint` (made if need be), examined, stored, in status `testing`.

    The same content again changes nothing. Raises Conflict when name and version are taken by other content,
    InvalidInput for bad names, InvalidArtifact for what cannot serve, Forbidden, and Overloaded.
    """
    endpoints.check_name(endpoint, "endpoint")
    _refuse_bad_names(name=name, version=version)
    _refuse_others(endpoint, grant)
    # What can be judged at once is not examined for seconds first; a bundle's own manifest is judged after it.
    _refuse_bad_notes(submission.metadata)
    with registrations.examined(submission) as outcome:
        registered = outcome.registered
        _refuse_bad_notes({"tags": registered.tags, "owner": registered.owner})
        if present := _present(endpoint, name, version):
            return _unchanged(present, registered)
        registrations.store().add(outcome.bundle)
        try:
            algorithm = _recorded(outcome, endpoint, name, version, grant)
        except IntegrityError:
            # Someone registered the same name and version while this one was examined.
            if winner := _present(endpoint, name, version):
                return _unchanged(winner, registered)
            raise
    return Registration(algorithm, True)


def register_folder(
    source: Bundle, *, endpoint: str, name: str, version: str, owner: str, grant: Grant
) -> Registration:
    """The algorithm of the training bundle `source` (see `register`). The caller vouches for its origin: a joblib in it
    is loaded, which runs its code."""
    with registrations.vouched_for(source) as given:
        metadata = {"owner": owner} if owner else {}
        submission = Submission(given, metadata=metadata, trusted_keys=registrations.trusted_keys())
        return register(submission, endpoint=endpoint, name=name, version=version, grant=grant)


def identified(algorithm_id: int, grant: Grant, scope: str = "read") -> MLAlgorithm:
    """The algorithm with that id. Raises NotFound, and Forbidden when `grant` lacks `scope` on it."""
    rows = MLAlgorithm.objects.seen_by(grant).select_related("parent_endpoint")
    algorithm = rows.filter(pk=algorithm_id).first()
    if algorithm is None:
        raise NotFound(f"There is no algorithm with the id {algorithm_id}.")
    grant.demand(scope, algorithm.parent_endpoint.team_id)
    return algorithm


def _refuse_bad_names(**given: str) -> None:
    for field, text in given.items():
        if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
            raise InvalidInput([Complaint(None, field, f"1 to {MAX_NAME} printable characters", repr(text[:40]))])


def _present(endpoint: str, name: str, version: str) -> MLAlgorithm | None:
    return MLAlgorithm.objects.filter(parent_endpoint__name=endpoint, name=name, version=version).first()


def _recorded(outcome: Outcome, endpoint: str, name: str, version: str, grant: Grant) -> MLAlgorithm:
    actor = grant.actor
    with transaction.atomic():
        algorithm = _record(outcome, _locked(endpoint, grant), name, version, actor)
        algorithm.save(force_insert=True)
        changes.record(
            "algorithm.registered",
            algorithm,
            algorithm.parent_endpoint,
            actor=actor,
            algorithm=algorithm.pk,
            digest=algorithm.artifact_digest,
        )
        tags.put_all(algorithm, outcome.registered.tags, actor=actor)
        statuses.begin(algorithm, actor=actor, reason="registered")
        revisions.raise_revision()
        # A clean-up may have removed an older copy of these bytes before they had a version; from here on it waits.
        if not registrations.store().holds(outcome.bundle.digest):
            registrations.store().add(outcome.bundle)
    return algorithm


def _record(outcome: Outcome, endpoint: Endpoint, name: str, version: str, actor: str) -> MLAlgorithm:
    found = outcome.registered
    return MLAlgorithm(
        parent_endpoint=endpoint,
        name=name,
        version=version,
        description=found.description,
        code=found.code,
        owner=found.owner,
        artifact_digest=outcome.bundle.digest,
        content_digest=found.content_digest,
        runtime=found.runtime,
        runtime_reason=found.runtime_reason,
        is_isolated=found.is_isolated,
        parity=found.parity,
        timings_us=found.timings_us,
        serves=found.serves,
        memory_bytes=found.memory_bytes,
        signature=found.signature,
        metrics=found.metrics,
        reference_profile=found.reference_profile,
        created_by=actor,
        created_at=timezone.now(),
    )


def _unchanged(present: MLAlgorithm, registered: Registered) -> Registration:
    if present.content_digest != registered.content_digest:
        raise Conflict(
            f"{present} is registered with other content, and a version never changes; choose another version."
        )
    if statuses.is_in_test(present):
        raise Conflict(f"{present} is in a running A/B test; it is not registered again before that ends.")
    return Registration(present, False)


def _refuse_bad_notes(metadata: Mapping[str, Any]) -> None:
    tags.check(metadata.get("tags") or {})
    owner = metadata.get("owner") or ""
    if len(owner) > MAX_NAME:
        raise InvalidInput([Complaint(None, "owner", f"at most {MAX_NAME} characters", f"{len(owner)} characters")])


def _refuse_others(name: str, grant: Grant) -> None:
    # Another team's endpoint does not exist for him; but its name cannot be had, which is all that he is told.
    endpoint = Endpoint.objects.filter(name=name).first()
    if endpoint is None:
        teams.meant(None, grant, "manage")
    elif Endpoint.objects.seen_by(grant).filter(pk=endpoint.pk).exists():
        grant.demand("manage", endpoint.team_id)
    else:
        raise Conflict(f"The name {name!r} is taken by another endpoint.")


def _locked(name: str, grant: Grant) -> Endpoint:
    # Made where there is none, and not to be deleted before the caller's transaction ends.
    while True:
        endpoint = Endpoint.objects.select_for_update().filter(name=name).first()
        if endpoint is not None:
            _refuse_others(name, grant)
            return endpoint
        team = teams.meant(None, grant, "manage")
        with suppress(Conflict):
            return endpoints.create(name, team, actor=grant.actor)
