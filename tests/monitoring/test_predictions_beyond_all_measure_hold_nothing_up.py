"""A regression whose errors are too large to be squared is counted like others, and holds up nobody's counts."""

from __future__ import annotations

import random

import pytest
from asked import Asker
from traffic import HOUR, NOON, PRICES, Log, entry, folded, row, sums, tell, watched

from ml_pipeline.apps.ml.algorithm import Prediction

pytestmark = pytest.mark.django_db
RANGE = {"from_": "2026-03-04T12:00:00Z", "to": "2026-03-04T20:00:00Z"}


@pytest.mark.parametrize("values", [(1e78,), (1e90, 1e200), (1e308, -1e308, 1.0)])
def test_errors_that_overflow_are_folded_again_and_again(values: tuple[float, ...]) -> None:
    wild, tame, draw = watched("1", PRICES), watched("2", PRICES), random.Random(1)
    log = Log(draw)
    for hour in (0, 0, 1):
        moment = NOON + hour * HOUR
        answers = [Prediction(None, None, None, draw.choice(values)) for _ in range(20)]
        entries = [entry(draw, wild, moment, row(draw), one) for one in answers]
        entries += [entry(draw, tame, moment, row(draw)) for _ in range(20)]
        log.commit(entries, moment)
        tell((one, 1.0) for one in entries)
        folded()
    assert sums("labelled") == {NOON: 80, NOON + HOUR: 40}
    for by in (None, "hour"):
        query = RANGE if by is None else {**RANGE, "by": by}
        found = {
            one["version"]: one
            for one in Asker().get("endpoints/demo/metrics", **query, slices="job,member")["algorithms"]
        }
        assert [one["performance"]["rows"] for one in found.values()] == [60, 60]
        assert [sum(part["rows"] for part in one["slices"][0]["slices"]) for one in found.values()] == [60, 60]
        (least, *_) = (part["mae"] for part in found["2"]["slices"][0]["slices"])
        assert least["low"] < least["value"] < least["high"]
