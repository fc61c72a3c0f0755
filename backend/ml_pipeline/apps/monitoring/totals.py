"""Totals: what one algorithm did in some time, in numbers that add up whatever the cut and the order.

They are stored in five parts: whole numbers, and four texts of JSON that are read for different questions:

    traffic      {"errors": {code: requests}, "latencies": Latencies}
    performance  {"estimate": Estimate, "classification": Classification} or {"estimate": …, "regression": Regression}
    features     {"features": {name: [counts]}, "scores": [counts], "labels": [counts]}
    slices       {name: [[sums], …]}

Counts of a feature and of scores are by place in the reference profile's part (`profile.bins.placed`), those of labels
by place in the signature. A slice is a place as well; `measurements` says what its sums are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.latencies import Latencies
from ml_pipeline.stats.regressions import Regression

Numbers: TypeAlias = npt.NDArray[Any]
Outcomes: TypeAlias = Classification | Regression
# Whole numbers, which are columns of their own.
WHOLE = (
    *("requests", "errors", "batched", "erased", "unreadable"),
    *("labelled", "correct", "unscored", "rewarded"),
)
PARTS = ("traffic", "performance", "features", "slices")


@dataclass
class Totals:
    """What `whole` has none of is 0; what was not measured is None or not there."""

    whole: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latencies: Latencies | None = None
    estimate: Estimate | None = None
    outcomes: Outcomes | None = None
    features: dict[str, Numbers] = field(default_factory=dict)
    scores: Numbers | None = None
    labels: Numbers | None = None
    slices: dict[str, Numbers] = field(default_factory=dict)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            _merged(self.whole, other.whole),
            _merged(self.errors, other.errors),
            _plus(self.latencies, other.latencies),
            _plus(self.estimate, other.estimate),
            _plus(self.outcomes, other.outcomes),
            _merged(self.features, other.features),
            _plus(self.scores, other.scores),
            _plus(self.labels, other.labels),
            _merged(self.slices, other.slices),
        )

    def columns(self) -> dict[str, int | str]:
        """What is stored: whole numbers, and the four texts."""
        told: dict[str, int | str] = {name: self.whole.get(name, 0) for name in WHOLE}
        texts = {
            "traffic": {"errors": self.errors, "latencies": _in_json(self.latencies)},
            "performance": {"estimate": _in_json(self.estimate), **_named(self.outcomes)},
            "features": {
                "features": {name: counts.tolist() for name, counts in self.features.items()},
                "scores": None if self.scores is None else self.scores.tolist(),
                "labels": None if self.labels is None else self.labels.tolist(),
            },
            "slices": {name: sums.tolist() for name, sums in self.slices.items()},
        }
        return told | {name: msgspec.json.encode(document).decode() for name, document in texts.items()}


def summed(rows: Sequence[Mapping[str, Any]]) -> Totals:
    """The sum of what `columns` gave, of one algorithm, quicker than one by one; parts that rows lack are left out."""
    total = Totals()
    if not rows:
        return total
    total.whole = {name: sum(row[name] for row in rows) for name in WHOLE if name in rows[0]}
    parts = {name: [msgspec.json.decode(row[name]) for row in rows] for name in PARTS if name in rows[0]}
    if "traffic" in parts:
        for document in parts["traffic"]:
            total.errors = _merged(total.errors, document["errors"])
        total.latencies = _of_documents(Latencies, parts["traffic"], "latencies")
    if "performance" in parts:
        total.estimate = _of_documents(Estimate, parts["performance"], "estimate")
        total.outcomes = _outcomes(parts["performance"])
    if "features" in parts:
        total.features = _arrays(document["features"] for document in parts["features"])
        both = _arrays({name: document[name] for name in ("scores", "labels")} for document in parts["features"])
        total.scores, total.labels = both.get("scores"), both.get("labels")
    if "slices" in parts:
        total.slices = _arrays(parts["slices"])
    return total


def _named(outcomes: Outcomes | None) -> dict[str, Any]:
    if outcomes is None:
        return {}
    return {"classification" if isinstance(outcomes, Classification) else "regression": outcomes.to_json()}


def _outcomes(documents: Sequence[Mapping[str, Any]]) -> Outcomes | None:
    # An algorithm's outcomes are of one kind, and its labels are always the same.
    told = [document["classification"] for document in documents if "classification" in document]
    if told:
        return Classification.summed(told, labels=len(told[0]["confusion"]))
    measured = [document["regression"] for document in documents if "regression" in document]
    return Regression.summed(measured) if measured else None


def _in_json(part: Any) -> Any:
    return None if part is None else part.to_json()


def _of_documents(kind: Any, documents: Iterable[Mapping[str, Any]], name: str) -> Any:
    found = [document[name] for document in documents if document.get(name) is not None]
    return kind.summed(found) if found else None


def _arrays(documents: Iterable[Mapping[str, Any]]) -> dict[str, Numbers]:
    found: dict[str, list[Any]] = {}
    for document in documents:
        for name, numbers in document.items():
            if numbers is not None:
                found.setdefault(name, []).append(numbers)
    return {name: np.sum(_array(arrays), axis=0) for name, arrays in found.items()}


def _array(numbers: list[Any]) -> Numbers:
    array = np.array(numbers)
    # JSON has no infinity: a sum that overflowed is null there, and NaN from then on.
    return array if array.dtype != object else np.array(numbers, dtype=np.float64)


def _plus(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _plus(one.get(name), value) for name, value in other.items()}}
