"""Algorithms: registered from a bundle, once; looked up; never changed."""

from __future__ import annotations

from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import endpoints, statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound

MAX_NAME = 128


class Registration(NamedTuple):
    """An algorithm, and whether this call registered it or found it registered already."""

    algorithm: MLAlgorithm
    created: bool


def register(
    source: Bundle, store: ArtifactStore, *, endpoint: str, name: str, version: str, owner: str, actor: str
) -> Registration:
    """The algorithm `name` `version` under `endpoint` (made if need be), compiled, stored, in status `testing`.

    The same bundle again changes nothing. Raises Conflict when name and version are taken by another bundle, and
    InvalidInput or InvalidArtifact. Loads the bundle's pipeline: the caller vouches for its origin.
    """
    # Brings scikit-learn and pandas, which a process that only serves does without.
    from ml_pipeline.apps.ml import registration

    _refuse_bad_names(name=name, version=version)
    if present := _present(endpoint, name, version):
        return _unchanged(present, source)
    endpoint_id = _endpoint_id(endpoint)
    ready = registration.prepared(source, store)
    algorithm = MLAlgorithm(
        parent_endpoint_id=endpoint_id,
        name=name,
        version=version,
        description=ready.description,
        code=ready.code,
        owner=owner,
        artifact_digest=ready.digest,
        source_digest=ready.source_digest,
        runtime=ready.runtime,
        runtime_reason=ready.runtime_reason,
        parity=ready.parity,
        signature=ready.signature,
        metrics=ready.metrics,
        created_by=actor,
        created_at=timezone.now(),
    )
    try:
        with transaction.atomic():
            algorithm.save(force_insert=True)
            statuses.begin(algorithm, actor=actor, reason="registered")
            revisions.raise_revision()
    except IntegrityError:
        # Someone registered the same name and version while this one was compiled.
        if winner := _present(endpoint, name, version):
            return _unchanged(winner, source)
        raise
    return Registration(algorithm, True)


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


def _unchanged(present: MLAlgorithm, source: Bundle) -> Registration:
    if present.source_digest != source.digest:
        raise Conflict(
            f"{present} is registered with other content, and a version never changes; choose another version."
        )
    return Registration(present, False)


def _endpoint_id(name: str) -> int:
    endpoint = Endpoint.objects.filter(name=name).first()
    if endpoint is None:
        try:
            endpoint = endpoints.create(name)
        except Conflict:
            endpoint = endpoints.named(name)
    return endpoint.pk
