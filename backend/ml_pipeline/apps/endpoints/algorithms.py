"""Algorithms: registered from what was submitted, once; looked up; never changed."""

from __future__ import annotations

from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import endpoints, registrations, statuses, tags
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


def register(submission: Submission, *, endpoint: str, name: str, version: str, actor: str) -> Registration:
    """The algorithm `name` `version` under `endpoint` (made if need be), examined, stored, in status `testing`.

    The same content again changes nothing. Raises Conflict when name and version are taken by other content,
    InvalidInput for bad names, InvalidArtifact for what cannot serve, and Overloaded.
    """
    endpoints.check_name(endpoint)
    _refuse_bad_names(name=name, version=version)
    with registrations.examined(submission) as outcome:
        registered = outcome.registered
        tags.check(registered.tags)
        _refuse_long_texts(owner=registered.owner)
        if present := _present(endpoint, name, version):
            return _unchanged(present, registered)
        store = registrations.store()
        store.add(outcome.bundle)
        try:
            algorithm = _recorded(outcome, _endpoint_id(endpoint), name, version, actor)
        except IntegrityError:
            # Someone registered the same name and version while this one was examined.
            if winner := _present(endpoint, name, version):
                return _unchanged(winner, registered)
            raise
        # A clean-up may have removed an older copy of these bytes, the moment before they had a version.
        store.add(outcome.bundle)
    return Registration(algorithm, True)


def register_folder(source: Bundle, *, endpoint: str, name: str, version: str, owner: str, actor: str) -> Registration:
    """The algorithm of the training bundle `source` (see `register`). The caller vouches for its origin: a joblib in it
    is loaded, which runs its code."""
    with registrations.vouched_for(source) as given:
        metadata = {"owner": owner} if owner else {}
        submission = Submission(given, metadata=metadata, trusted_keys=registrations.trusted_keys())
        return register(submission, endpoint=endpoint, name=name, version=version, actor=actor)


def identified(algorithm_id: int) -> MLAlgorithm:
    """The algorithm with that id. Raises NotFound."""
    algorithm = MLAlgorithm.objects.select_related("parent_endpoint").filter(pk=algorithm_id).first()
    if algorithm is None:
        raise NotFound(f"There is no algorithm with the id {algorithm_id}.")
    return algorithm


def _refuse_bad_names(**given: str) -> None:
    for field, text in given.items():
        if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
            raise InvalidInput([Complaint(None, field, f"1 to {MAX_NAME} printable characters", repr(text[:40]))])


def _present(endpoint: str, name: str, version: str) -> MLAlgorithm | None:
    return MLAlgorithm.objects.filter(parent_endpoint__name=endpoint, name=name, version=version).first()


def _recorded(outcome: Outcome, endpoint_id: int, name: str, version: str, actor: str) -> MLAlgorithm:
    found = outcome.registered
    algorithm = MLAlgorithm(
        parent_endpoint_id=endpoint_id,
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
    with transaction.atomic():
        algorithm.save(force_insert=True)
        tags.put_all(algorithm, found.tags)
        statuses.begin(algorithm, actor=actor, reason="registered")
        revisions.raise_revision()
    return algorithm


def _unchanged(present: MLAlgorithm, registered: Registered) -> Registration:
    if present.content_digest != registered.content_digest:
        raise Conflict(
            f"{present} is registered with other content, and a version never changes; choose another version."
        )
    return Registration(present, False)


def _refuse_long_texts(**given: str) -> None:
    for field, text in given.items():
        if len(text) > MAX_NAME:
            raise InvalidInput([Complaint(None, field, f"at most {MAX_NAME} characters", f"{len(text)} characters")])


def _endpoint_id(name: str) -> int:
    endpoint = Endpoint.objects.filter(name=name).first()
    if endpoint is None:
        try:
            endpoint = endpoints.create(name)
        except Conflict:
            endpoint = endpoints.named(name)
    return endpoint.pk
