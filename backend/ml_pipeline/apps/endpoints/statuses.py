"""The life cycle: every change of an algorithm's status, as a new row, in one transaction with what it entails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from ml_pipeline.apps.endpoints import changes, endpoints, hooks
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
    `ab_testing` only by starting and ending a test, from `archived` only to `testing`, and nothing into production
    while a test runs on the endpoint.
    """
    with transaction.atomic():
        endpoint = endpoints.locked(algorithm.parent_endpoint_id)
        current = _active(algorithm)
        if current is not None and current.status == status:
            return Change(current, False)
        _refuse_forbidden(current, status)
        if status == Status.PRODUCTION:
            _refuse_during_test(endpoint)
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

    Where an A/B test runs it is stopped, and that algorithm is its champion. Archived algorithms are passed over.
    Raises Conflict when none is left.
    """
    with transaction.atomic():
        endpoint = endpoints.locked(endpoint.pk)
        if (step := hooks.rolled_back(endpoint, actor, reason or "rollback")) is not None:
            return step
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
    """The step by which an algorithm was in production at `moment`, or None when none was.

    During an A/B test that is the step by which its champion entered the test.
    """
    past = MLAlgorithmStatus.objects.filter(parent_mlalgorithm__parent_endpoint=endpoint, created_at__lte=moment)
    last = (
        past.filter(Q(status=Status.PRODUCTION) | Q(status=Status.AB_TESTING, arm=0))
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


def enter_test(endpoint: Endpoint, test_id: int, arms: Mapping[int, MLAlgorithm], *, actor: str, reason: str) -> None:
    """All `arms`, by their number, in `ab_testing`, at one moment. Belongs in the transaction that starts the test.

    `endpoint` must be locked. Raises Conflict for an algorithm that is archived or in a test, and where another one
    than arm 0 is in production.
    """
    in_production = MLAlgorithmStatus.objects.filter(production_of=endpoint).first()
    if in_production is not None and in_production.parent_mlalgorithm_id != arms[0].pk:
        raise Conflict("The first arm is the champion, and must be the algorithm that is in production.")
    moment = _next_moment(endpoint.pk)
    for number, algorithm in arms.items():
        current = _active(algorithm)
        if current is None or current.status in (Status.ARCHIVED, Status.AB_TESTING):
            raise Conflict(f"{algorithm} is {current.status if current else 'in no status'}, and cannot enter a test.")
        _append(algorithm, Status.AB_TESTING, actor, reason, moment=moment, test_id=test_id, arm=number)


def leave_test(algorithm: MLAlgorithm, *, actor: str, reason: str) -> None:
    """`algorithm` out of the test that it is in, back to testing; the others go on. Belongs in a transaction with the
    endpoint locked."""
    step = MLAlgorithmStatus.objects.get(active_of=algorithm)
    moment = _next_moment(algorithm.parent_endpoint_id)
    _append(algorithm, Status.TESTING, actor, reason, moment=moment, test_id=step.test_id, arm=step.arm)


def end_test(endpoint: Endpoint, test_id: int, winner: int, *, actor: str, reason: str) -> MLAlgorithmStatus:
    """The step into production of arm `winner`; the other arms that are still in the test are in testing, all at one
    moment. Belongs in the transaction that ends the test, with `endpoint` locked.

    A rollback returns from a champion that stays to where it would have before the test, from another to the champion.
    """
    before = _stack_top(endpoint)
    moment = _next_moment(endpoint.pk)
    arms = MLAlgorithmStatus.objects.select_related("parent_mlalgorithm").filter(
        active_of__isnull=False, status=Status.AB_TESTING, test_id=test_id
    )
    steps = {step.arm: step for step in arms.order_by("arm")}
    champion, ahead = steps[0].parent_mlalgorithm, steps.pop(winner)
    for step in steps.values():
        one, number = step.parent_mlalgorithm, step.arm
        _append(one, Status.TESTING, actor, reason, moment=moment, test_id=test_id, arm=number)
    # A champion that was in production goes back to its own place in the order of rollbacks.
    is_back = winner == 0 and before is not None and before.parent_mlalgorithm_id == champion.pk
    return _append(
        ahead.parent_mlalgorithm,
        Status.PRODUCTION,
        actor,
        reason,
        moment=moment,
        production_of=endpoint,
        previous=before.previous_production if before is not None and is_back else before,
        test_id=test_id,
        arm=winner,
    )


def is_in_test(algorithm: MLAlgorithm) -> bool:
    """Whether `algorithm` is an arm of a running A/B test."""
    return MLAlgorithmStatus.objects.filter(active_of=algorithm, status=Status.AB_TESTING).exists()


def _refuse_during_test(endpoint: Endpoint) -> None:
    arms = MLAlgorithmStatus.objects.filter(
        active_of__isnull=False, status=Status.AB_TESTING, parent_mlalgorithm__parent_endpoint=endpoint
    )
    if arms.exists():
        raise Conflict("An A/B test runs on the endpoint, and its end says what is in production; stop it first.")


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
    test_id: int | None = None,
    arm: int | None = None,
) -> MLAlgorithmStatus:
    MLAlgorithmStatus.objects.filter(active_of=algorithm).update(active_of=None, production_of=None)
    return MLAlgorithmStatus.objects.create(
        parent_mlalgorithm=algorithm,
        status=status,
        active_of=algorithm,
        production_of=production_of,
        previous_production=previous,
        test_id=test_id,
        arm=arm,
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
