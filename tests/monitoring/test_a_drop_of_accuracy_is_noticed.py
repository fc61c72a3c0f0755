"""A detector sees each outcome once and in the order in which it was told, and says where accuracy fell and rose."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from traffic import COLOURS, HOUR, NOON, PRICES, Log, entry, folded, prediction, tell, watched

from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.monitoring import folding
from ml_pipeline.apps.monitoring.models import Alarm, Detector
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.stats.detectors import AccuracyWatch

pytestmark = pytest.mark.django_db


def asked(by: MLAlgorithm, count: int, draw: random.Random) -> list[Entry]:
    log, made = Log(draw), []
    for begin in range(0, count, 500):
        moment = NOON + begin // 500 * HOUR
        entries = [entry(draw, by, moment, answered=prediction(draw, by.signature["labels"])) for _ in range(500)]
        log.commit(entries, moment)
        made += entries
    return made


def told(made: list[Entry], accuracy: list[float], draw: random.Random) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Outcomes of requests in any order, so that the share of right ones is `accuracy`, a part after the other."""
    order = draw.sample(range(len(made)), len(made))
    rights = [draw.random() < accuracy[at * len(accuracy) // len(made)] for at in range(len(made))]
    others = {"no": "yes", "yes": "no"}
    for begin in range(0, len(made), 400):
        part = range(begin, min(begin + 400, len(made)))
        tell((made[order[at]], told_of(made[order[at]], others, rights[at])) for at in part)
        if draw.random() < 0.5:
            folded()
    folded()
    return np.array(rights)


def told_of(one: Entry, others: dict[str, str], is_right: bool) -> str:
    label = str(one.response)
    return label if is_right else others[label]


def test_alarms_are_those_of_the_pure_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_FEEDBACK", 130)
    by, draw = watched(), random.Random(2)
    reference = by.reference_profile["metrics"]["accuracy"]
    rights = told(asked(by, 4_000, draw), [reference, reference - 0.25, reference + 0.1], draw)
    watch = AccuracyWatch(reference)
    changes = watch.observe(rights)
    assert [change.is_drop for change in changes] == [True, False]
    one = Detector.objects.get()
    assert (one.labelled, one.is_down) == (4_000, False)
    assert json.loads(one.state) == watch.state()
    alarms = [(one.kind, one.labelled, one.accuracy, one.of_labels) for one in Alarm.objects.order_by("labelled")]
    kinds = {True: "drop", False: "recovery"}
    assert alarms == [(kinds[one.is_drop], one.at + 1, one.accuracy, one.labels) for one in changes]


def test_what_has_no_accuracy_to_lose_is_not_watched() -> None:
    draw = random.Random(2)
    for by in (watched("1", is_profiled=False), watched("2", PRICES)):
        made = asked(by, 500, draw)
        tell((one, one.response if one.response in ("no", "yes") else 1.5) for one in made)
    folded()
    assert not Detector.objects.exists()


def test_algorithms_are_watched_apart() -> None:
    draw = random.Random(2)
    made = [asked(by, 500, draw) for by in (watched("1"), watched("2", COLOURS))]
    tell((one, one.response) for both in zip(*made, strict=True) for one in both)
    tell((one, one.response) for one in made[0])
    folded()
    assert list(Detector.objects.order_by("pk").values_list("labelled", "is_down")) == [(500, False)] * 2
