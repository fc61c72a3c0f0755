from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.latencies import Latencies
from ml_pipeline.stats.regressions import Regression

ROWS = 3_000


def classified(labels: int) -> Callable[[slice], Classification]:
    rng = np.random.default_rng(labels)
    given = rng.dirichlet(np.full(labels, 0.5), ROWS)
    given[::17] = np.nan
    given[1::50] = np.eye(labels)[rng.integers(0, labels, len(given[1::50]))]
    true, predicted = rng.integers(-1, labels, ROWS), rng.integers(-1, labels, ROWS)
    return lambda rows: Classification.of(true[rows], predicted[rows], given[rows], labels=labels)


def regressed(center: float) -> Callable[[slice], Regression]:
    rng = np.random.default_rng(5)
    true = rng.gamma(2.0, 3.0, ROWS) + center
    predicted = true + rng.normal(0.1, 1.0, ROWS)
    predicted[::40] = np.nan
    return lambda rows: Regression.of(true[rows], predicted[rows])


WAITED = np.random.default_rng(6).lognormal(7, 2, ROWS).astype(np.int64)
CHANCES = np.random.default_rng(7).uniform(0.5, 1, ROWS)
KINDS: dict[str, tuple[Callable[[slice], Any], Any]] = {
    "two labels": (classified(2), Classification.zero(2)),
    "five labels": (classified(5), Classification.zero(5)),
    "one label": (classified(1), Classification.zero(1)),
    "regression": (regressed(0.0), Regression.zero()),
    "regression far from 0": (regressed(1e6), Regression.zero()),
    "latencies": (lambda rows: Latencies.of(WAITED[rows]), Latencies.zero()),
    "estimate": (lambda rows: Estimate.of(CHANCES[rows]), Estimate.zero()),
}


def strict(document: Any) -> Any:
    return json.loads(json.dumps(document, allow_nan=False))


def figures(total: Any) -> Any:
    if isinstance(total, Latencies):
        return {"count": total.count, "mean": total.mean, "p95": total.quantile(0.95)}
    return strict(total.metrics())


def assert_alike(one: Any, other: Any) -> None:
    """Integers are equal, floats nearly."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_alike(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
    else:
        assert one == other


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_cut_adds_up_to_the_whole(kind: str, seed: int) -> None:
    make, zero = KINDS[kind]
    rng = np.random.default_rng(seed)
    cuts = [0, *np.sort(rng.integers(0, ROWS, 12)).tolist(), ROWS]
    parts = [make(slice(*ends)) for ends in pairwise(cuts)]
    whole = figures(make(slice(None)))
    in_order = reduce(lambda one, other: one + other, parts, zero)
    shuffled = reduce(lambda one, other: one + other, [parts[at] for at in rng.permutation(len(parts))])
    together = type(zero).summed(
        [strict(part.to_json()) for part in parts],
        **({"labels": len(zero.confusion)} if isinstance(zero, Classification) else {}),
    )
    for total in (in_order, shuffled, together):
        assert_alike(figures(total), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_json_keeps_them_exactly(kind: str) -> None:
    make, zero = KINDS[kind]
    for total in (make(slice(None)), zero):
        document = strict(total.to_json())
        again = type(total).from_json(document)
        assert strict(again.to_json()) == document
        assert figures(again) == figures(total)


@pytest.mark.parametrize("labels", [1, 2, 4])
@pytest.mark.parametrize("given", [[1.0], [0.0], [math.nan], [2.0], [-1.0]])
def test_extreme_probabilities_give_finite_figures(labels: int, given: list[float]) -> None:
    places = np.zeros(3, dtype=np.int64)
    total = Classification.of(places, places, np.full((3, labels), given[0]), labels=labels)
    assert figures(total)["rows"] == 3
    strict(total.to_json())
    if labels > 1:
        sure_and_wrong = np.eye(labels)[np.ones(3, dtype=np.int64)]
        found = figures(Classification.of(places, places + 1, sure_and_wrong, labels=labels))
        assert found["log_loss"]["value"] == pytest.approx(-math.log(np.finfo(float).eps))
        assert found["brier"]["value"] == 1
        assert found["roc_auc"] is None


def test_what_overflows_is_none_and_the_rest_is_known() -> None:
    huge = Regression.of([1e300, -1e300, 0.0], [-1e300, 1e300, 0.0])
    total = Regression.from_json(strict(huge.to_json())) + Regression.of([1.0], [2.0])
    found = figures(total)
    assert found["rows"] == 4
    assert found["mae"]["value"] == pytest.approx(1e300)
    assert (found["rmse"], found["r2"]) == (None, None)
    assert figures(Regression.of([1.7e308, 1.7e308], [-1.7e308, -1.7e308]))["mae"] is None


def test_nothing_has_no_figures() -> None:
    assert figures(Regression.zero()) == {"rows": 0, "mae": None, "rmse": None, "r2": None}
    assert figures(Estimate.zero())["accuracy"] is None
    found = figures(Classification.zero(2))
    assert (found["rows"], found["accuracy"], found["log_loss"], found["calibration"]) == (0, None, None, None)
    assert found["labels"][0] == {"true": 0, "predicted": 0, "precision": None, "recall": None, "f1": None}
    assert figures(Classification.of([], [], np.empty((0, 2)), labels=2)) == found


def test_totals_of_other_labels_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        Classification.zero(2) + Classification.zero(3)
