"""Algorithms for in-process tests of the registry: rows as registration makes them, without the cost of a bundle."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.utils import timezone

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.accounts.models import DEFAULT_TEAM, Team
from ml_pipeline.apps.endpoints import endpoints, statuses
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, MLRequest

SIGNATURE = {
    "features": [{"name": "x", "type": "number", "nullable": False, "categories": []}],
    "task": "classification",
    "labels": ["no", "yes"],
}


# Who may do everything.
OPERATOR = access.operator()


def team() -> Team:
    """The team that there is."""
    return Team.objects.get(name=DEFAULT_TEAM)


def algorithm(version: str, endpoint: str = "demo", **changes: object) -> MLAlgorithm:
    """The algorithm `model` `version`, just registered: in testing."""
    parent = Endpoint.objects.filter(name=endpoint).first() or endpoints.create(endpoint, team(), actor="tests")
    row = MLAlgorithm(
        parent_endpoint=parent,
        version=version,
        content_digest="0" * 64,
        runtime="onnx",
        created_by="tests",
        created_at=timezone.now(),
        **{"name": "model", "artifact_digest": "0" * 64, "signature": SIGNATURE, **changes},
    )
    row.save()
    statuses.begin(row, actor="tests", reason="registered")
    return row


def requests(answered_by: MLAlgorithm, count: int = 1) -> list[UUID]:
    """The ids of so many logged requests that this algorithm has answered."""
    rows = [
        MLRequest(
            id=uuid4(),
            parent_mlalgorithm=answered_by,
            outcome="ok",
            revision=1,
            batch_id=1,
            position=0,
            input_data="{}",
            full_response="{}",
            latency_us=1,
            created_at=timezone.now(),
        )
        for _ in range(count)
    ]
    return [row.pk for row in MLRequest.objects.bulk_create(rows)]


def status_of(one: MLAlgorithm) -> str:
    """The present status of `one`."""
    return MLAlgorithm.objects.get(pk=one.pk).active_status.status
