"""Rollback, repeatedly, across archives and demotions; and what was in production at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from registered import algorithm, status_of

from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, MLAlgorithmStatus
from ml_pipeline.errors import Conflict

pytestmark = pytest.mark.django_db


def in_production() -> str | None:
    step = MLAlgorithmStatus.objects.filter(production_of__name="demo").first()
    return step.parent_mlalgorithm.version if step else None


def roll_back() -> str | None:
    statuses.roll_back(Endpoint.objects.get(name="demo"), actor="ann")
    return in_production()


def promoted(*versions: str) -> dict[str, MLAlgorithm]:
    made = {version: algorithm(version) for version in sorted(set(versions))}
    for version in versions:
        statuses.promote(made[version], actor="ann")
    return made


def test_it_goes_back_one_by_one_until_none_is_left() -> None:
    made = promoted("1", "2", "3")
    assert roll_back() == "2"
    assert status_of(made["3"]) == "staging"
    assert roll_back() == "1"
    with pytest.raises(Conflict, match="nothing to roll back to"):
        roll_back()
    assert in_production() == "1"


def test_what_was_rolled_back_is_not_returned_to() -> None:
    made = promoted("1", "2")
    assert roll_back() == "1"
    three = algorithm("3")
    statuses.promote(three, actor="ann")
    assert roll_back() == "1"
    statuses.promote(made["2"], actor="ann")
    assert roll_back() == "1"


def test_archived_algorithms_are_passed_over() -> None:
    made = promoted("1", "2", "3")
    statuses.archive(made["2"], actor="ann")
    assert roll_back() == "1"


def test_an_endpoint_without_production_goes_back_to_its_last() -> None:
    made = promoted("1", "2")
    statuses.move(made["2"], "testing", actor="ann")
    assert in_production() is None
    assert roll_back() == "2"
    statuses.archive(made["2"], actor="ann")
    assert roll_back() == "1"


def test_an_algorithm_promoted_twice_is_one_step_back_each_time() -> None:
    promoted("1", "2", "1")
    assert roll_back() == "2"
    assert roll_back() == "1"


def test_nothing_was_ever_in_production() -> None:
    algorithm("1")
    with pytest.raises(Conflict):
        roll_back()


def test_history_knows_what_was_in_production_at_any_time() -> None:
    made = promoted("1", "2")
    endpoint = made["1"].parent_endpoint
    statuses.move(made["2"], "testing", actor="ann")
    first, second = MLAlgorithmStatus.objects.filter(status="production").order_by("pk")
    ended = MLAlgorithmStatus.objects.order_by("pk").last()
    assert ended is not None
    instant = timedelta(microseconds=1)

    def at(moment: object) -> str | None:
        step = statuses.production_at(endpoint, moment)  # type: ignore[arg-type]
        return step.parent_mlalgorithm.version if step else None

    assert at(first.created_at - instant) is None
    assert at(first.created_at) == "1"
    assert at(second.created_at - instant) == "1"
    assert at(second.created_at) == "2"
    assert at(ended.created_at - instant) == "2"
    assert at(ended.created_at) is None
