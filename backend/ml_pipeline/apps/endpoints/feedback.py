"""Feedback: true outcomes of requests, appended as they arrive; the first one of a request is the one that counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.endpoints.models import Feedback, MLAlgorithm, MLRequest
from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import Complaint, InvalidInput, NotFound
from ml_pipeline.wire import strict_json

Effect = Literal["accepted", "unchanged"]
MAX_ITEMS = 10_000


class Item(NamedTuple):
    """One line of a bulk: which request, the value that came for it, and the line's place in the bulk, from 0."""

    request_id: UUID
    value: Any
    row: int = 0


class Outcome(NamedTuple):
    """What became of a bulk: counts of rows added and rows that stood already, and what was refused."""

    accepted: int
    unchanged: int
    unknown: list[str]
    invalid: list[dict[str, Any]]


def record(request_id: UUID, value: Any, *, actor: str) -> Effect:
    """`accepted` when the feedback was appended, `unchanged` when the latest of this request says the same.

    Raises NotFound, or InvalidInput for a value that is no outcome of the algorithm that answered.
    """
    outcome = record_all([Item(request_id, value)], actor=actor)
    if outcome.unknown:
        raise NotFound(f"There is no request with the id {request_id}.")
    if outcome.invalid:
        expected, got = outcome.invalid[0]["expected"], outcome.invalid[0]["got"]
        raise InvalidInput([Complaint(None, "feedback", expected, got)])
    return "accepted" if outcome.accepted else "unchanged"


def record_all(items: Sequence[Item], *, actor: str) -> Outcome:
    """Every good item appended in one transaction; the others named. A later value than the first is a correction."""
    ids = {item.request_id for item in items}
    now = timezone.now()
    with transaction.atomic():
        signatures = _signatures(ids)
        latest = {row.request_id: row.value for row in Feedback.objects.filter(request_id__in=ids).order_by("pk")}
        rows, unchanged, unknown, invalid = [], 0, [], []
        for item in items:
            signature = signatures.get(item.request_id)
            if signature is None:
                unknown.append(str(item.request_id))
                continue
            value = outcome_value(signature, item.value)
            if value is None:
                invalid.append(unusable(item.row, str(item.request_id), _expected(signature), item.value))
            elif item.request_id in latest and latest[item.request_id] == value:
                unchanged += 1
            else:
                latest[item.request_id] = value
                rows.append(Feedback(request_id=item.request_id, value=value, actor=actor, created_at=now))
        Feedback.objects.bulk_create(rows, batch_size=500)
    return Outcome(len(rows), unchanged, unknown, invalid)


def unusable(row: int, request_id: str | None, expected: str, got: Any) -> dict[str, Any]:
    """How a bulk's reply names a line that is no feedback."""
    return {"row": row, "request_id": request_id, "expected": expected, "got": strict_json.shown(got)}


def effective(request_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """The feedback that counts, the first, of each of `request_ids` that has any."""
    result: dict[UUID, Any] = {}
    for row in Feedback.objects.filter(request_id__in=list(request_ids)).order_by("pk"):
        result.setdefault(row.request_id, row.value)
    return result


def outcome_value(signature: Signature, value: Any) -> str | float | None:
    """`value` as an outcome of the signature's algorithm: one of its labels, or a finite number; else None."""
    if signature.task == "regression":
        number = values.fitted(values.coerced(value, "number") if isinstance(value, str) else value, "number")
        return None if number is None else float(number)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value in signature.labels else None


def _expected(signature: Signature) -> str:
    return "a finite number" if signature.task == "regression" else f"one of {', '.join(signature.labels)}"


def _signatures(ids: set[UUID]) -> dict[UUID, Signature]:
    # Locked, in one order for all: of two outcomes at once one is the first, and the other sees it.
    requests = MLRequest.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    asked = dict(requests.values_list("pk", "parent_mlalgorithm_id"))
    stored = MLAlgorithm.objects.filter(pk__in=set(asked.values())).values_list("pk", "signature")
    parsed = {pk: Signature.from_json(document) for pk, document in stored}
    return {request_id: parsed[algorithm_id] for request_id, algorithm_id in asked.items()}
