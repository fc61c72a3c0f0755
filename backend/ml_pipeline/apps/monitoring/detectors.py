"""Detectors: what watches the accuracy of each classifier, outcome by outcome, in the order in which they are folded.

One is begun with the first outcome of an algorithm whose accuracy on its reference rows is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.db import transaction

from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.monitoring import notices
from ml_pipeline.apps.monitoring.models import Alarm, Detector
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.stats.detectors import AccuracyWatch, Change, margin_of

DROP, RECOVERY = "drop", "recovery"


class Watched(NamedTuple):
    """What a detector has come to, `labelled` outcomes having been seen before; `pk` is None where it is new."""

    pk: int | None
    algorithm_id: int
    watch: AccuracyWatch
    labelled: int
    rows: int
    changes: Sequence[Change]


def watched(rights: Iterable[tuple[Subject, npt.NDArray[np.bool_]]]) -> list[Watched]:
    """What `write` is to store, after each of the algorithms' detectors has seen whether answers were right.

    Only the job that folds calls it, under its lease, so what it reads stays as it is until `write`.
    """
    seen = [(subject, its) for subject, its in rights if len(its) and _is_watched(subject)]
    pks = [subject.pk for subject, _ in seen]
    stored = {one.parent_mlalgorithm_id: one for one in Detector.objects.filter(parent_mlalgorithm__in=pks)}
    return [_watched(subject, its, stored.get(subject.pk)) for subject, its in seen]


def write(changed: Iterable[Watched]) -> None:
    """What `watched` gave is stored. Belongs in the transaction that takes the outcomes."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("write() belongs in the transaction that takes the outcomes")
    for one in changed:
        state = json.dumps(one.watch.state(), separators=(",", ":"))
        changes = {"labelled": one.labelled + one.rows, "is_down": one.watch.is_down, "state": state}
        if one.pk is None:
            Detector.objects.create(parent_mlalgorithm_id=one.algorithm_id, **changes)
        else:
            Detector.objects.filter(pk=one.pk).update(**changes)
        alarms = [
            Alarm(
                parent_mlalgorithm_id=one.algorithm_id,
                kind=DROP if change.is_drop else RECOVERY,
                labelled=one.labelled + change.at + 1,
                accuracy=change.accuracy,
                of_labels=change.labels,
                created_at=DatabaseNow(),
            )
            for change in one.changes
        ]
        Alarm.objects.bulk_create(alarms)
        notices.of_accuracy(alarms)


def _is_watched(subject: Subject) -> bool:
    return subject.accuracy is not None and subject.accuracy > margin_of(subject.accuracy)


def _watched(subject: Subject, rights: npt.NDArray[np.bool_], stored: Detector | None) -> Watched:
    if stored is None:
        watch = AccuracyWatch(subject.accuracy or 0.0)
    else:
        watch = AccuracyWatch.from_state(json.loads(stored.state))
    changes = watch.observe(rights)
    pk, labelled = (None, 0) if stored is None else (stored.pk, stored.labelled)
    return Watched(pk, subject.pk, watch, labelled, len(rights), changes)
