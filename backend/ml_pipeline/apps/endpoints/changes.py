"""Changes of the registry, as the audit has them: each names the endpoint that it concerns."""

from __future__ import annotations

from typing import Any

from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.events import audit


def record(action: str, subject: object, endpoint: Endpoint, *, actor: str, **details: Any) -> None:
    """`actor` has done `action` to `subject`, under `endpoint` (see `audit.record`)."""
    audit.record(
        action,
        str(subject),
        actor=actor,
        team_id=endpoint.team_id,
        endpoint_id=endpoint.pk,
        **{"endpoint": endpoint.name, **details},
    )
