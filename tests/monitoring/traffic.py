"""Algorithms with reference profiles, and what the data plane and people write of them, for tests of monitoring."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from registered import OPERATOR, algorithm

from ml_pipeline.apps.endpoints import feedback
from ml_pipeline.apps.endpoints.feedback import Item
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.apps.monitoring.apps import FOLDING
from ml_pipeline.apps.monitoring.folding import Folder
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.predictions import journal, writers
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.writers import Batch, Entry

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEATURES = [
    {"name": "age", "type": "integer", "nullable": True, "categories": []},
    {"name": "job", "type": "string", "nullable": True, "categories": []},
    {"name": "member", "type": "boolean", "nullable": False, "categories": []},
]
JOBS = ["baker", "cook", "nurse", "pilot", None]
BINARY = {"features": FEATURES, "task": "classification", "labels": ["no", "yes"]}
COLOURS = {"features": FEATURES, "task": "classification", "labels": ["blue", "green", "red"]}
PRICES = {"features": FEATURES, "task": "regression", "labels": []}


def row(draw: random.Random, jobs: Sequence[str | None] = JOBS) -> dict[str, Any]:
    """A row as people send it."""
    age = draw.choice([None, *range(18, 90)])
    return {"age": age, "job": draw.choice(jobs), "member": draw.random() < 0.3}


def prediction(draw: random.Random, labels: Sequence[str]) -> Prediction:
    """An answer: one of `labels` with its probabilities or, without any, a value."""
    if not labels:
        return Prediction(None, None, None, draw.gauss(100, 20))
    given = [draw.random() for _ in labels]
    probabilities = tuple(one / sum(given) for one in given)
    place = probabilities.index(max(probabilities))
    told = probabilities[1] if len(labels) == 2 else probabilities[place]
    return Prediction(labels[place], told, probabilities, None)


def watched(version: str = "1", signature: dict[str, Any] = BINARY, *, is_profiled: bool = True) -> MLAlgorithm:
    """An algorithm of this signature."""
    draw, known = random.Random(version), Signature.from_json(signature)
    about = None
    if is_profiled:
        rows = [row(draw) for _ in range(400)]
        predictions = [prediction(draw, known.labels) for _ in rows]
        truths = [outcome(draw, one) if one.label or one.value else None for one in predictions]
        about = profile.profiled(known, known.columns(rows), predictions, truths)
    return algorithm(version, signature=signature, reference_profile=about)


def outcome(draw: random.Random, answered: Prediction) -> Any:
    """What was true, most often what was answered."""
    if answered.value is not None:
        return answered.value + draw.gauss(0, 5)
    return (
        answered.label
        if draw.random() < 0.8
        else draw.choice(["no", "yes"] if len(answered.probabilities or ()) == 2 else ["blue", "red"])
    )


def entry(
    draw: random.Random,
    answered_by: MLAlgorithm,
    moment: datetime,
    inputs: dict[str, Any] | None = None,
    answered: Prediction | None = None,
    **changes: Any,
) -> Entry:
    """A prediction that was made then, as the data plane logs it."""
    labels = answered_by.signature["labels"]
    answered = answered or prediction(draw, labels)
    reply: dict[str, Any] = {"label": answered.label, "probability": answered.probability}
    if len(labels) > 2 and answered.probabilities is not None:
        reply["probabilities"] = dict(zip(labels, answered.probabilities, strict=True))
    if answered.value is not None:
        reply["value"] = answered.value
    made = Entry(
        made_id(draw, moment),
        answered_by.pk,
        "ok",
        1,
        json.dumps(row(draw) if inputs is None else inputs),
        json.dumps(reply),
        answered.label if answered.value is None else repr(answered.value),
        answered.probability,
        round(draw.lognormvariate(7, 0.5)),
        None,
        None,
        journal.stamp(moment),
    )
    return made._replace(**changes)


def made_id(draw: random.Random, moment: datetime) -> str:
    """A UUIDv7 of that moment."""
    return f"{int(moment.timestamp() * 1000):012x}7{draw.getrandbits(12):03x}8{draw.getrandbits(60):015x}"


def commit(entries: list[Entry], moment: datetime, *, writer: UUID, seq: int, pk: int | None = None) -> int:
    """The log has them as one commit of that moment; its id, which may be told."""
    batch = Batch(writer, seq, len(entries), "0" * 64, journal.stamp(moment))
    with transaction.atomic():
        if pk is not None:
            JournalBatch(pk=pk, **{**batch._asdict(), "created_at": moment}).save(force_insert=True)
            # As if it had been drawn earlier, by somebody who was slow.
            rows = writers.placed(entries, pk)
            places = ", ".join(["%s"] * len(rows[0]))
            with connection.cursor() as cursor:
                insert = f"INSERT INTO endpoints_mlrequest ({writers.ENTRY_COLUMNS}) VALUES ({places})"
                cursor.executemany(insert, rows)
            return pk
        return writers.of(connection).add(connection, batch, entries)


class Log:
    """One writer of the log."""

    def __init__(self, draw: random.Random) -> None:
        self.writer, self.seq = UUID(int=draw.getrandbits(128)), 0

    def commit(self, entries: list[Entry], moment: datetime, pk: int | None = None) -> int:
        self.seq += 1
        return commit(entries, moment, writer=self.writer, seq=self.seq, pk=pk)


def tell(told: Iterable[tuple[Entry, Any]]) -> None:
    """These outcomes were told of these requests, in this order."""
    items = [Item(UUID(one.id), value) for one, value in told]
    done = feedback.record_all(items, OPERATOR)
    assert not done.unknown
    assert not done.invalid


def folded(most: int = 10_000) -> int:
    """In how many passes all that there is was folded."""
    jobs.stand([FOLDING])
    lease = leases.claim([FOLDING], "tests")
    assert lease is not None
    folder, passes = Folder(lease), 1
    while folder.fold():
        passes += 1
        assert passes < most
    lease.postpone(0.0)
    return passes


def windows(hours: int = 1) -> dict[tuple[int, datetime], Window]:
    """What is stored, by algorithm and beginning."""
    return {(one.parent_mlalgorithm_id, one.begins_at): one for one in Window.objects.filter(hours=hours)}


def sums(name: str, hours: int = 1) -> dict[datetime, int]:
    """A column's sum over all algorithms, by the windows' beginnings; without those that have none."""
    found: dict[datetime, int] = {}
    for (_, begins_at), one in windows(hours).items():
        if getattr(one, name):
            found[begins_at] = found.get(begins_at, 0) + getattr(one, name)
    return found
