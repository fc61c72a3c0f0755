"""A/B tests as the rest of the product meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ml_pipeline.apps.abtests.models import Arm


class RunningArm(NamedTuple):
    """One arm of a running test. Its share is its own also once it is withdrawn: no unit may move."""

    number: int
    algorithm_id: int
    weight: float
    is_withdrawn: bool


@dataclass(frozen=True, slots=True)
class RunningTest:
    """A test that runs on `endpoint`, with its arms in the order of their numbers, the champion first."""

    id: int
    endpoint: str
    salt: str
    arms: tuple[RunningArm, ...]


def running() -> list[RunningTest]:
    """All tests that run now."""
    found: dict[tuple[int, str, str], list[RunningArm]] = {}
    rows = (
        Arm.objects.filter(test__running_of__isnull=False)
        .order_by("test_id", "number")
        .values_list(
            "test_id",
            "test__running_of__name",
            "test__salt",
            "number",
            "parent_mlalgorithm_id",
            "weight",
            "is_withdrawn",
        )
    )
    for row in rows:
        found.setdefault(row[:3], []).append(RunningArm(*row[3:]))
    return [RunningTest(*test, tuple(arms)) for test, arms in found.items()]
