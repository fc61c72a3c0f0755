"""Feedback: true outcomes of requests, appended as they arrive; the first one of a request is the one that counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import hooks
from ml_pipeline.apps.endpoints.hooks import Learnt
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


class Told(NamedTuple):
    """What became of one item: appended, known already, or refused as `unknown` or `invalid`.

    `effective` is the outcome that counts, the first of the request; `expected` says what was, where it is invalid.
    """

    effect: Literal["accepted", "unchanged", "unknown", "invalid"]
    effective: Any = None
    expected: str = ""


class _Answered(NamedTuple):
    # The algorithm that answered a request.
    signature: Signature
    team_id: int
    endpoint_id: int
    test_id: int | None


def record(request_id: UUID, value: Any, grant: Grant) -> Effect:
    """`accepted` when the feedback was appended, `unchanged` when the latest of this request says the same.

    Raises NotFound, or InvalidInput for a value that is no outcome of the algorithm that answered.
    """
    item = Item(request_id, value)
    (told,) = record_each([(item, grant)])
    return accepted(item, told)


def accepted(item: Item, told: Told) -> Effect:
    """The effect of an item that was accepted. Raises NotFound and InvalidInput for one that was refused."""
    if told.effect == "unknown":
        raise NotFound(f"There is no request with the id {item.request_id}.")
    if told.effect == "invalid":
        raise InvalidInput([Complaint(None, "feedback", told.expected, strict_json.shown(item.value))])
    return told.effect


def record_all(items: Sequence[Item], grant: Grant) -> Outcome:
    """Every good item appended in one transaction; the others named. A later value than the first is a correction."""
    results = record_each([(item, grant) for item in items])
    effects = Counter(told.effect for told in results)
    return Outcome(
        effects["accepted"],
        effects["unchanged"],
        [str(item.request_id) for item, told in zip(items, results, strict=True) if told.effect == "unknown"],
        [
            unusable(item.row, str(item.request_id), told.expected, item.value)
            for item, told in zip(items, results, strict=True)
            if told.effect == "invalid"
        ],
    )


def record_each(tellings: Sequence[tuple[Item, Grant]]) -> list[Told]:
    """What became of each item, told by whoever holds the grant beside it; the good ones are appended in one
    transaction. What he may not tell of is `unknown`."""
    ids = {item.request_id for item, _ in tellings}
    now = timezone.now()
    with transaction.atomic():
        answered = _answered(ids)
        rewarded = hooks.rewarded({one.test_id for one in answered.values() if one.test_id is not None})
        known: dict[UUID, list[Any]] = {}
        stored = Feedback.objects.filter(request_id__in=ids).order_by("pk")
        for request_id, value in stored.values_list("request_id", "value"):
            known.setdefault(request_id, []).append(value)
        results, rows = [], []
        for item, grant in tellings:
            by = answered.get(item.request_id)
            if by is None or not grant.may("feedback", by.team_id, by.endpoint_id):
                results.append(Told("unknown"))
                continue
            told = _judged(item, None if by.test_id in rewarded else by.signature, known)
            if told.effect == "accepted":
                value = known[item.request_id][-1]
                rows.append(Feedback(request_id=item.request_id, value=value, actor=grant.actor, created_at=now))
            results.append(told)
        Feedback.objects.bulk_create(rows, batch_size=500)
        of_tests = ((row.request_id, answered[row.request_id].test_id) for row in rows)
        hooks.feedback_appended([Learnt(one, test_id) for one, test_id in of_tests if test_id is not None])
    return results


def _judged(item: Item, signature: Signature | None, known: dict[UUID, list[Any]]) -> Told:
    value = outcome_value(signature, item.value)
    if value is None:
        return Told("invalid", expected=_expected(signature))
    before = known.setdefault(item.request_id, [])
    if before and before[-1] == value:
        return Told("unchanged", before[0])
    before.append(value)
    return Told("accepted", before[0])


def unusable(row: int, request_id: str | None, expected: str, got: Any) -> dict[str, Any]:
    """How a bulk's reply names a line that is no feedback."""
    return {"row": row, "request_id": request_id, "expected": expected, "got": strict_json.shown(got)}


def effective(request_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """The feedback that counts, the first, of each of `request_ids` that has any."""
    result: dict[UUID, Any] = {}
    for row in Feedback.objects.filter(request_id__in=list(request_ids)).order_by("pk"):
        result.setdefault(row.request_id, row.value)
    return result


def outcome_value(signature: Signature | None, value: Any) -> str | float | None:
    """`value` as an outcome of the signature's algorithm: one of its labels, or a finite number; else None.

    Without a signature it is a reward, which is a number whatever was answered.
    """
    if signature is None or signature.task == "regression":
        number = values.fitted(values.coerced(value, "number") if isinstance(value, str) else value, "number")
        return None if number is None else float(number)
    return next((name for name in _names(value) if name in signature.labels), None)


def _names(value: Any) -> tuple[str, ...]:
    # The labels that it may be: those of a model are texts, whatever its classes are in Python.
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bool):
        return str(value), str(value).lower()
    if isinstance(value, int | float) and abs(value) <= values.MAX_INTEGER:
        whole = (str(int(value)),) if value == int(value) else ()
        return *whole, str(float(value))
    return (str(value),) if isinstance(value, int) else ()


def _expected(signature: Signature | None) -> str:
    if signature is None or signature.task == "regression":
        return "a finite number"
    return f"one of {', '.join(signature.labels)}"


def _answered(ids: set[UUID]) -> dict[UUID, _Answered]:
    # Locked, in one order for all: of two outcomes at once one is the first, and the other sees it.
    requests = MLRequest.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    asked = list(requests.values_list("pk", "parent_mlalgorithm_id", "test_id"))
    stored = MLAlgorithm.objects.filter(pk__in={one for _, one, _ in asked}).values_list(
        "pk", "signature", "parent_endpoint__team_id", "parent_endpoint_id"
    )
    parsed = {pk: (Signature.from_json(document), team, endpoint) for pk, document, team, endpoint in stored}
    return {request_id: _Answered(*parsed[algorithm_id], test_id) for request_id, algorithm_id, test_id in asked}
