"""Receivers of events, as they exist for whoever asks; and who may change which.

One that is told of administration, as only administrators read of in the audit, is changed by administrators alone.
"""

from __future__ import annotations

from django.db.models import QuerySet

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.events.models import Receiver
from ml_pipeline.errors import NotFound


def seen_by(rows: QuerySet[Receiver], grant: Grant, scope: str = "read") -> QuerySet[Receiver]:
    """Those of `rows` that are for whoever holds `grant`; of all teams only where he has `scope` in all."""
    if scope not in grant.everywhere:
        rows = rows.filter(team_id__in=grant.team_ids(scope))
    return rows if grant.endpoint_ids is None else rows.filter(endpoint_id__in=grant.endpoint_ids)


def found(pk: int, grant: Grant, scope: str = "read") -> Receiver:
    """The receiver with that id. Raises NotFound, and Forbidden when `grant` lacks `scope` on it."""
    receiver = seen_by(Receiver.objects.all(), grant).filter(pk=pk).first()
    if receiver is None:
        raise NotFound(f"There is no receiver with the id {pk}.")
    grant.demand(scope, receiver.team_id)
    if scope != "read":
        demand_administration(receiver.team_id, grant, receiver.administration)
    return receiver


def demand_administration(team_id: int | None, grant: Grant, is_wanted: bool) -> None:
    """Raises Forbidden where it is wanted, and `grant` is no administrator's in that team; None asks for all teams."""
    if is_wanted:
        grant.demand("admin", team_id)
