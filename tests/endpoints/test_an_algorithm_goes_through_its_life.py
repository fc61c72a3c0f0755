"""Transitions: what is allowed, what each entails, and that history only grows."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from registered import OPERATOR, algorithm, status_of, team

from ml_pipeline.apps.endpoints import endpoints, statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Conflict

pytestmark = pytest.mark.django_db
BY_HAND = (Status.TESTING, Status.STAGING, Status.PRODUCTION, Status.ARCHIVED)


def test_promoting_moves_the_previous_one_to_staging() -> None:
    first, second = algorithm("1"), algorithm("2")
    statuses.promote(first, actor="ann")
    statuses.promote(second, actor="bob", reason="better")
    assert (status_of(first), status_of(second)) == ("staging", "production")
    step = MLAlgorithmStatus.objects.get(production_of__name="demo")
    assert (step.parent_mlalgorithm, step.created_by, step.reason) == (second, "bob", "better")


@pytest.mark.parametrize("before", BY_HAND)
@pytest.mark.parametrize("after", BY_HAND)
def test_every_move_by_hand_but_out_of_the_archive_is_allowed(before: str, after: str) -> None:
    one = algorithm("1")
    statuses.move(one, before, actor="ann")
    if before == Status.ARCHIVED and after not in (Status.ARCHIVED, Status.TESTING):
        with pytest.raises(Conflict, match="goes back to testing first"):
            statuses.move(one, after, actor="ann")
        assert status_of(one) == Status.ARCHIVED
    else:
        assert statuses.move(one, after, actor="ann").changed == (before != after)
        assert status_of(one) == after


def test_nobody_enters_or_leaves_ab_testing_by_hand() -> None:
    one = algorithm("1")
    with pytest.raises(Conflict, match="only by the start"):
        statuses.move(one, Status.AB_TESTING, actor="ann")
    MLAlgorithmStatus.objects.filter(active_of=one).update(status=Status.AB_TESTING)
    with pytest.raises(Conflict, match="only by the test's end"):
        statuses.promote(one, actor="ann")


def test_history_only_grows_and_its_times_follow_its_order() -> None:
    one, two = algorithm("1"), algorithm("2")
    before: list[tuple[object, ...]] = []
    for moved, status in ((one, "production"), (two, "production"), (one, "archived"), (two, "testing")):
        statuses.move(moved, status, actor="ann", reason="because")
        rows = list(MLAlgorithmStatus.objects.order_by("pk").values_list("pk", "status", "created_by", "created_at"))
        assert rows[: len(before)] == before
        assert len(rows) > len(before)
        times = [row[3] for row in rows]
        assert times == sorted(times)
        before = rows


def test_one_active_step_an_algorithm_and_one_production_an_endpoint_even_past_the_code() -> None:
    one, two = algorithm("1"), algorithm("2")
    statuses.promote(one, actor="ann")
    step = MLAlgorithmStatus.objects.get(active_of=two)
    for changes in ({"production_of": one.parent_endpoint, "status": "production"}, {"active_of": one}):
        with pytest.raises(IntegrityError), transaction.atomic():
            MLAlgorithmStatus.objects.filter(pk=step.pk).update(**changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        MLAlgorithmStatus.objects.filter(active_of=one).update(status="testing")


def test_a_registered_algorithm_never_changes() -> None:
    one = algorithm("1")
    one.version = "2"
    with pytest.raises(TypeError, match="immutable"):
        one.save()


def test_every_change_raises_the_revision_and_nothing_else_does() -> None:
    one, two = algorithm("1"), algorithm("2")
    endpoint = one.parent_endpoint
    changes = [
        lambda: statuses.promote(one, actor="ann"),
        lambda: statuses.promote(two, actor="ann"),
        lambda: statuses.roll_back(endpoint, actor="ann"),
        lambda: statuses.archive(two, actor="ann"),
        lambda: endpoints.create("another", team(), actor="ann"),
        lambda: endpoints.describe(endpoint, owner="ann", actor="ann"),
        lambda: endpoints.delete(endpoints.named("another", OPERATOR), actor="ann"),
    ]
    for change in changes:
        before = revisions.current()
        change()
        assert revisions.current() == before + 1
    before = revisions.current()
    statuses.promote(one, actor="ann")
    with pytest.raises(Conflict):
        endpoints.delete(endpoint, actor="ann")
    assert revisions.current() == before


def test_an_endpoint_with_algorithms_is_not_deleted() -> None:
    endpoint = algorithm("1").parent_endpoint
    with pytest.raises(Conflict, match="archive them"):
        endpoints.delete(endpoint, actor="ann")
    assert endpoints.named("demo", OPERATOR) == endpoint
