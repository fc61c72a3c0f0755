"""Calls: what one prediction call asks, and its replies and log entries."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uuid_utils.compat
from django.utils import timezone

from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.signature import Row, Signature
from ml_pipeline.apps.predictions.journal import Entry
from ml_pipeline.apps.predictions.routing import Route, Selection, Snapshot
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.wire import replies


@dataclass(frozen=True, slots=True)
class Question:
    """What a prediction request asks, apart from its rows. `unit` is whom the prediction is about."""

    endpoint: str
    selection: Selection
    unit: str | None = None
    probabilities: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call's circumstances, which every row of it shares."""

    snapshot: Snapshot
    route: Route
    signature: Signature
    question: Question
    grant: Grant
    started: float

    def elapsed_us(self) -> int:
        """Microseconds since the call came in."""
        return round((time.perf_counter() - self.started) * 1e6)

    def reply(self, prediction: Prediction) -> dict[str, Any]:
        """The reply for one row."""
        answer: dict[str, Any] = {
            "request_id": str(uuid_utils.compat.uuid7()),
            "status": "OK",
            "label": prediction.label,
            "probability": prediction.probability,
            "algorithm": self.route.name,
            "version": self.route.version,
            "endpoint": self.route.endpoint,
        }
        if prediction.probabilities is not None and (self.question.probabilities or len(self.signature.labels) > 2):
            answer["probabilities"] = dict(zip(self.signature.labels, prediction.probabilities, strict=True))
        if self.signature.task == "regression":
            answer["value"] = prediction.value
        return answer

    def entry(self, row: Row, answer: Mapping[str, Any], prediction: Prediction, latency_us: int) -> Entry:
        """The log entry of an answered row."""
        return Entry(
            id=UUID(answer["request_id"]),
            outcome="ok",
            full_response=_text(answer),
            response=prediction.label if prediction.value is None else repr(prediction.value),
            probability=prediction.probability,
            **self._circumstances(row, latency_us),
        )

    def failure(self, row: Row, error: MLPipelineError) -> Entry:
        """The log entry of a row on which the algorithm failed."""
        request_id = uuid_utils.compat.uuid7()
        told = type(error)(error.message, {"request_id": str(request_id)})
        return Entry(
            id=request_id,
            outcome=replies.reply_to(error).code,
            full_response=_text(replies.body_of(told, request_id=str(request_id))),
            response=None,
            probability=None,
            **self._circumstances(row, self.elapsed_us()),
        )

    def _circumstances(self, row: Row, latency_us: int) -> dict[str, Any]:
        return {
            "algorithm_id": self.route.algorithm_id,
            "revision": self.snapshot.revision,
            "input_data": _text(row),
            "latency_us": latency_us,
            "unit": self.question.unit,
            "key_id": self.grant.key_id,
            "created_at": timezone.now(),
        }


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
