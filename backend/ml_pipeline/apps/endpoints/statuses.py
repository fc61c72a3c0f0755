"""The life cycle: every change of an algorithm's status, as a new row, in one transaction with what it entails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints import changes, endpoints
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Conflict


class Change(NamedTuple):
    """A status row, and whether it was made now or stood already."""

    status: MLAlgorithmStatus
    changed: bool


def move(algorithm: MLAlgorithm, status: str, *, actor: str, reason: str = "") -> Change:
    """`algorithm` in `status`; into production, the algorithm that was there moves to staging in the same transaction.

    What is in that status already stays as it is. Raises Conflict for a move that the life cycle does not have:
    `ab_testing` only by starting and ending a test, and from `archived` only to `testing`.
    """
    with transaction.atomic():
        endpoint = endpoints.locked(algorithm.parent_endpoint_id)
        current = _active(algorithm)
        if current is not None and current.status == status:
            return Change(current, False)
        _refuse_forbidden(current, status)
        if status == Status.PRODUCTION:
            row = _promote(endpoint, algorithm, actor, reason, previous=_stack_top(endpoint))
        else:
            row = _append(algorithm, status, actor, reason, moment=_next_moment(endpoint.pk))
        _record("algorithm.moved", row, endpoint, before=current.status if current else None)
        revisions.raise_revision()
        return Change(row, True)


def promote(algorithm: MLAlgorithm, *, actor: str, reason: str = "") -> Change:
    """`algorithm` in production (see `move`)."""
    return move(algorithm, Status.PRODUCTION, actor=actor, reason=reason)


def archive(algorithm: MLAlgorithm, *, actor: str, reason: str = "") -> Change:
    """`algorithm` archived: its history stays, it answers no more (see `move`)."""
    return move(algorithm, Status.ARCHIVED, actor=actor, reason=reason)


def roll_back(endpoint: Endpoint, *, actor: str, reason: str = "") -> MLAlgorithmStatus:
    """The algorithm that was in production before, in production again; called again, the one before that.

    Archived algorithms are passed over. Raises Conflict when none is left.
    """
    with transaction.atomic():
        endpoint = endpoints.locked(endpoint.pk)
        target = _rollback_target(endpoint)
        if target is None:
            raise Conflict(
                f"No algorithm was in production on {endpoint.name!r} before; there is nothing to roll back to."
            )
        algorithm = target.parent_mlalgorithm
        row = _promote(endpoint, algorithm, actor, reason or "rollback", previous=target.previous_production)
        _record("endpoint.rolled_back", row, endpoint)
        revisions.raise_revision()
        return row


def production_at(endpoint: Endpoint, moment: datetime) -> MLAlgorithmStatus | None:
    """The step by which an algorithm was in production at `moment`, or None when none was."""
    past = MLAlgorithmStatus.objects.filter(parent_mlalgorithm__parent_endpoint=endpoint, created_at__lte=moment)
    last = (
        past.filter(status=Status.PRODUCTION)
        .select_related("parent_mlalgorithm__parent_endpoint")
        .order_by("-pk")
        .first()
    )
    if last is None or past.filter(parent_mlalgorithm=last.parent_mlalgorithm, pk__gt=last.pk).exists():
        return None
    return last


def begin(algorithm: MLAlgorithm, *, actor: str, reason: str) -> MLAlgorithmStatus:
    """The first status of an algorithm just registered: `testing`. Belongs in the registration's transaction."""
    return _append(algorithm, Status.TESTING, actor, reason, moment=_next_moment(algorithm.parent_endpoint_id))


def _refuse_forbidden(current: MLAlgorithmStatus | None, status: str) -> None:
    before = current.status if current else None
    if status == Status.AB_TESTING:
        raise Conflict("An algorithm enters ab_testing only by the start of an A/B test.")
    if before == Status.AB_TESTING:
        raise Conflict("The algorithm is in a running A/B test and leaves it only by the test's end.")
    if before == Status.ARCHIVED and status != Status.TESTING:
        raise Conflict(f"An archived algorithm goes back to testing first, not straight to {status}.")


def _active(algorithm: MLAlgorithm) -> MLAlgorithmStatus | None:
    return MLAlgorithmStatus.objects.select_related("parent_mlalgorithm").filter(active_of=algorithm).first()


def _stack_top(endpoint: Endpoint) -> MLAlgorithmStatus | None:
    # The latest step into production, whether or not its algorithm is still there.
    steps = MLAlgorithmStatus.objects.filter(parent_mlalgorithm__parent_endpoint=endpoint, status=Status.PRODUCTION)
    return steps.order_by("-pk").first()


def _rollback_target(endpoint: Endpoint) -> MLAlgorithmStatus | None:
    current = MLAlgorithmStatus.objects.filter(production_of=endpoint).first()
    step = _stack_top(endpoint)
    while step is not None:
        active = _active(step.parent_mlalgorithm)
        is_current = current is not None and step.parent_mlalgorithm_id == current.parent_mlalgorithm_id
        if not is_current and active is not None and active.status not in (Status.ARCHIVED, Status.AB_TESTING):
            return step
        step = step.previous_production
    return None


def _promote(
    endpoint: Endpoint, algorithm: MLAlgorithm, actor: str, reason: str, *, previous: MLAlgorithmStatus | None
) -> MLAlgorithmStatus:
    demoted = MLAlgorithmStatus.objects.select_related("parent_mlalgorithm").filter(production_of=endpoint).first()
    # One moment for both steps: at no time is nobody in production.
    moment = _next_moment(endpoint.pk)
    if demoted is not None:
        took_over = f"{algorithm} took over production"
        _append(demoted.parent_mlalgorithm, Status.STAGING, actor, took_over, moment=moment)
    return _append(
        algorithm, Status.PRODUCTION, actor, reason, moment=moment, production_of=endpoint, previous=previous
    )


def _append(
    algorithm: MLAlgorithm,
    status: str,
    actor: str,
    reason: str,
    *,
    moment: datetime,
    production_of: Endpoint | None = None,
    previous: MLAlgorithmStatus | None = None,
) -> MLAlgorithmStatus:
    MLAlgorithmStatus.objects.filter(active_of=algorithm).update(active_of=None, production_of=None)
    return MLAlgorithmStatus.objects.create(
        parent_mlalgorithm=algorithm,
        status=status,
        active_of=algorithm,
        production_of=production_of,
        previous_production=previous,
        reason=reason,
        created_by=actor,
        created_at=moment,
    )


def _next_moment(endpoint_id: int) -> datetime:
    # History is read by time, so its times must follow its order even where a replica's clock lags.
    last = (
        MLAlgorithmStatus.objects.filter(parent_mlalgorithm__parent_endpoint_id=endpoint_id)
        .order_by("-pk")
        .values_list("created_at", flat=True)
        .first()
    )
    now = timezone.now()
    return now if last is None else max(now, last + timedelta(microseconds=1))


def _record(action: str, step: MLAlgorithmStatus, endpoint: Endpoint, **details: str | None) -> None:
    changes.record(
        action,
        step.parent_mlalgorithm,
        endpoint,
        actor=step.created_by,
        algorithm=step.parent_mlalgorithm_id,
        status=step.status,
        reason=step.reason,
        **details,
    )
