"""A reference of few rows, or of many rare categories, gives no alarm of drift where nothing has drifted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.ml.signature import Feature
from ml_pipeline.apps.monitoring import pooling, wording
from ml_pipeline.apps.monitoring.subjects import Part
from ml_pipeline.stats import drift
from ml_pipeline.stats.drift import Judgement

Draw = Callable[[int], Any]


def counts(part: dict[str, Any], column: Any) -> list[int]:
    inside, *outside = profile.counted(part, column).values()
    return [*inside, *outside]


def texts(numbers: Any) -> Any:
    return np.array([str(one) for one in numbers], dtype=object)


def judged(kind: str, draws: list[Draw], known: int, later: list[Draw], rows: int) -> list[tuple[Judgement, str]]:
    """Of features, each drawn so, with so many reference rows and so many later ones; and in words."""
    parts = [Part.of(bins.frozen(Feature("x", kind), draw(known))) for draw in draws]
    found = [counts(part.about, draw(rows)) for part, draw in zip(parts, later, strict=True)]
    before = [
        [*part.about["counts"], *(part.about[name] for name in bins.OUTSIDE[part.about["kind"]])] for part in parts
    ]
    pairs = [pooling.pooled(*three) for three in zip(parts, before, found, strict=True)]
    judgements = drift.judged([one for one, _ in pairs], [one for _, one in pairs])
    return [
        (one, "" if one.place is None else wording.told(part, *pair, one.place))
        for one, part, pair in zip(judgements, parts, pairs, strict=True)
    ]


@pytest.mark.parametrize("categories", [60, 300, 1_000, 10**9])
@pytest.mark.parametrize("known", [100, 500, 1_000])
def test_many_rare_categories(categories: int, known: int) -> None:
    draw = np.random.default_rng(categories + known)
    alarms = 0
    for _ in range(20):
        of: Draw = lambda rows: texts(draw.integers(categories, size=rows))  # noqa: E731
        ((one, _),) = judged("string", [of], known, [of], 2_000)
        alarms += one.is_drifted
    assert alarms <= 1


def test_few_rows_of_many_numbers() -> None:
    draw = np.random.default_rng(1)
    of: Draw = lambda rows: draw.normal(size=rows)  # noqa: E731
    alarms = [any(one.is_drifted for one, _ in judged("number", [of] * 14, 50, [of] * 14, 2_000)) for _ in range(40)]
    assert sum(alarms) <= 3


def test_what_has_drifted_is_still_found() -> None:
    draw = np.random.default_rng(2)
    of: Draw = lambda rows: draw.normal(size=rows)  # noqa: E731
    larger: Draw = lambda rows: draw.normal(1.5, size=rows)  # noqa: E731
    ((one, words),) = judged("number", [of], 60, [larger], 500)
    assert one.is_drifted
    assert words.startswith("x: larger than in the reference, ")
    cities: Draw = lambda rows: texts(draw.zipf(1.3, size=rows))  # noqa: E731
    one_city: Draw = lambda rows: texts(np.where(draw.random(rows) < 0.4, 1, draw.zipf(1.3, size=rows)))  # noqa: E731
    ((one, words),) = judged("string", [cities], 200, [one_city], 500)
    assert one.is_drifted
    assert "of rows are '1'" in words


def test_a_rare_value_that_becomes_frequent_is_found_and_named() -> None:
    draw = np.random.default_rng(3)
    for kind, of in (("integer", np.asarray), ("string", texts)):
        rare: Draw = lambda rows, of=of: of((np.arange(rows) % 200 == 0).astype(float))  # noqa: E731
        often: Draw = lambda rows, of=of: of((draw.random(rows) < 0.15).astype(float))  # noqa: E731
        ((one, words),) = judged(kind, [rare], 1_000, [often], 500)
        assert one.is_drifted
        assert ("are above 0 and at most 1" if kind == "integer" else "are '1.0'") in words


def test_bins_that_were_judged_as_one_are_told_as_one() -> None:
    part = Part.of(bins.frozen(Feature("x", "number"), np.arange(50.0)))
    assert part.about["counts"] == [5] * 10
    before, now = pooling.pooled(part, [5] * 10 + [0, 0, 0], [0] * 5 + [0, 0, 0, 300, 200] + [7, 8, 9])
    assert before == [0, 0, 0, 20, 0, 0, 0, 20, 0, 10, 0, 0, 0]
    assert now == [0, 0, 0, 0, 0, 0, 0, 0, 0, 500, 7, 8, 9]
    assert "are above 19 and at most 39" in wording.told(part, before, now, 7)
    assert "are 19 or less" in wording.told(part, before, now, 3)
