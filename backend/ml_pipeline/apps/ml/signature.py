"""The schema of an algorithm: rows in, columns out, and exact complaints about rows that do not fit.

A row is a mapping of feature name to a JSON value. Missing is null, an absent name or, for nullable strings, the empty
string; in columns missing numbers are NaN and missing strings are "" (ONNX has no null string). Imports no Django and
no HTTP.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.records import Records, Row
from ml_pipeline.errors import Complaint, InvalidArtifact, InvalidInput
from ml_pipeline.wire import strict_json

Columns: TypeAlias = dict[str, npt.NDArray[Any]]
FeatureType = Literal["integer", "number", "string", "boolean"]
Task = Literal["classification", "regression"]

MAX_COMPLAINTS = 100
_WIDEST = (-values.MAX_NUMBER, values.MAX_NUMBER)
# Strict JSON has neither, in a request or in a bundle's manifest.
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Feature:
    """One input. `categories` are the values seen in training; others are accepted unless it `is_closed`.

    Strings and integers can be closed; the categories of integers are their digits. `bounds` are the least and the most
    that a number may be, where the model's input holds no more.
    """

    name: str
    type: FeatureType
    nullable: bool = False
    categories: tuple[str, ...] = ()
    is_closed: bool = False
    bounds: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The feature as JSON values, the inverse of `from_json`."""
        limits = zip(("minimum", "maximum"), self.bounds or (), strict=False)
        return {
            "name": self.name,
            "type": self.type,
            "nullable": self.nullable,
            "categories": list(self.categories),
            "closed": self.is_closed,
            **dict(limits),
        }

    @classmethod
    def from_json(cls, item: Any) -> Feature:
        """The feature that `to_json` wrote. Raises what its parts raise where it is not one."""
        given = [item.get(name) for name in ("minimum", "maximum")]
        least, most = (otherwise if one is None else float(one) for one, otherwise in zip(given, _WIDEST, strict=True))
        return cls(
            str(item["name"]),
            item["type"],
            bool(item.get("nullable", False)),
            tuple(str(category) for category in item.get("categories", ())),
            bool(item.get("closed", False)),
            None if given == [None, None] else (least, most),
        )

    def expected(self, fitting: Any) -> str:
        """What a complaint says is expected instead of a value that reads as `fitting`, None where it does not."""
        if fitting is None:
            return values.EXPECTED[self.type]
        if self.bounds is not None:
            return f"{'an integer' if self.type == 'integer' else 'a number'} from {_range(self.bounds)}"
        return values.one_of(self.categories)


@dataclass(frozen=True)
class Signature:
    """Inputs in order and the output. `labels` are the classes in the model's own order, empty for regression."""

    features: tuple[Feature, ...]
    task: Task
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) != len(names):
            raise InvalidArtifact("A signature needs features, each under a name of its own.")
        if (len(self.labels) < 2) == (self.task == "classification"):
            raise InvalidArtifact("A classification names at least two labels, a regression none.")
        if len(set(self.labels)) != len(self.labels):
            raise InvalidArtifact("A signature's labels differ from each other.")
        for label in self.labels:
            _check_text("label", label)
        for feature in self.features:
            _check_feature(feature)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    @cached_property
    def _closed(self) -> dict[str, frozenset[str]]:
        return {feature.name: frozenset(feature.categories) for feature in self.features if feature.is_closed}

    def to_json(self) -> dict[str, Any]:
        """The signature as JSON values, the inverse of `from_json`."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "task": self.task,
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, document: Any) -> Signature:
        """The signature that `to_json` wrote. Raises InvalidArtifact when it is not one."""
        try:
            features = tuple(Feature.from_json(item) for item in document["features"])
            task, labels = document["task"], tuple(str(label) for label in document.get("labels", ()))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidArtifact(f"The signature lacks or misuses {error}.") from None
        unknown = [feature.type for feature in features if feature.type not in get_args(FeatureType)]
        if unknown or task not in get_args(Task):
            raise InvalidArtifact(f"The signature has an unknown type: {', '.join(map(str, unknown)) or task}.")
        return cls(features, task, labels)

    def rows(self, items: Sequence[Any], *, coerce: bool = False) -> list[dict[str, Any]]:
        """`items` as complete rows in feature order, values normalised; `coerce` reads strings as forms and CSV do.

        Raises InvalidInput with up to 100 complaints, each naming row and field. `items` are not changed.
        """
        complaints: list[Complaint] = []
        result = []
        for index, item in enumerate(items):
            result.append(self._row(index, item, coerce, complaints))
            if len(complaints) >= MAX_COMPLAINTS:
                break
        if complaints:
            raise InvalidInput(complaints[:MAX_COMPLAINTS])
        return result

    def _row(self, index: int, item: Any, coerce: bool, complaints: list[Complaint]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        if not isinstance(item, Mapping):
            complaints.append(Complaint(index, None, "an object of feature names and values", strict_json.shown(item)))
            return row
        for name in item:
            if name not in self._by_name:
                complaints.append(Complaint(index, str(name)[:100], "a feature of this algorithm", "an unknown name"))
                # A body of 10 MB holds a million names; nobody reads as many complaints.
                if len(complaints) >= MAX_COMPLAINTS:
                    return row
        if not item:
            complaints.append(Complaint(index, None, "at least one feature", "an empty object"))
            return row
        for feature in self.features:
            value = item.get(feature.name)
            if coerce and isinstance(value, str):
                value = values.coerced(value, feature.type)
            if value is None or (value == "" and feature.nullable and feature.type == "string"):
                if not feature.nullable:
                    got = strict_json.shown(item[feature.name]) if feature.name in item else "nothing"
                    complaints.append(Complaint(index, feature.name, values.EXPECTED[feature.type], got))
                row[feature.name] = None
                continue
            fitting = values.fitted(value, feature.type)
            if (
                fitting is None
                or (feature.is_closed and str(fitting) not in self._closed[feature.name])
                or (feature.bounds is not None and not feature.bounds[0] <= fitting <= feature.bounds[1])
            ):
                got = strict_json.shown(item[feature.name])
                complaints.append(Complaint(index, feature.name, feature.expected(fitting), got))
            row[feature.name] = fitting
        return row

    def columns(self, rows: Sequence[Row]) -> Columns:
        """Complete rows as one array of shape (n,) a feature: float64, NaN for missing, or object (str), "" for it."""
        result: Columns = {}
        for feature, cells in zip(self.features, Records.of(rows, self.names).columns(), strict=True):
            missing: Any = "" if feature.type == "string" else math.nan
            present = [missing if cell is None else cell for cell in cells] if None in cells else cells
            result[feature.name] = np.array(present, dtype=object if feature.type == "string" else np.float64)
        return result


def _check_feature(feature: Feature) -> None:
    _check_text("feature", feature.name)
    for category in feature.categories:
        _check_text(f"category of the feature {feature.name[:60]!r}", category)
    if feature.is_closed and (feature.type not in {"string", "integer"} or not feature.categories):
        raise InvalidArtifact(
            f"The feature {feature.name[:60]!r} is closed; only strings and integers can be, with categories."
        )

    if feature.bounds is not None and (
        feature.type not in {"integer", "number"} or feature.is_closed or not feature.bounds[0] <= feature.bounds[1]
    ):
        raise InvalidArtifact(
            f"The feature {feature.name[:60]!r} has a minimum or maximum; only numbers, and integers that are not "
            "closed, can, and the minimum is not above the maximum."
        )


def _range(bounds: tuple[float, float]) -> str:
    return " to ".join(f"{int(one)}" if one.is_integer() and abs(one) < 1e15 else f"{one:.6g}" for one in bounds)


def _check_text(what: str, text: str) -> None:
    if _UNSPEAKABLE.search(text):
        raise InvalidArtifact(f"The {what} contains NUL or a lone surrogate, which JSON here may not: {text[:60]!r}.")


def inferred_feature(
    name: str, cells: Sequence[Any], *, nullable: bool | None = None, max_categories: int = 200
) -> Feature:
    """The feature that `cells` (JSON values, None for missing) look like; nullable where one is missing unless told.

    Without any value it is a number, as pandas has it. Categories are listed for strings of at most `max_categories`
    distinct values. Raises InvalidArtifact for cells of several kinds.
    """
    present = [cell for cell in cells if cell is not None]
    if nullable is None:
        nullable = len(present) < len(cells)
    if present and all(isinstance(cell, bool) for cell in present):
        kind = "boolean"
    elif present and all(isinstance(cell, int) and not isinstance(cell, bool) for cell in present):
        kind = "integer"
    elif all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present):
        kind = "number"
    elif all(isinstance(cell, str) for cell in present):
        kind = "string"
    else:
        raise InvalidArtifact(f"The column {name!r} mixes strings and numbers.")
    categories: tuple[str, ...] = ()
    if kind == "string" and len(distinct := set(present)) <= max_categories:
        categories = tuple(sorted(distinct))
    return Feature(name, cast(FeatureType, kind), nullable, categories)
