"""Bins: where the values of a feature fall, frozen once and counted into ever after.

Bin i of a numeric part holds what is above edge i - 1 and at most edge i; the first one holds what is at least `low`
and at most the first edge. Edges of a feature are values that occurred, so none of its bins is empty in the reference.
Categories are exact strings; those of booleans are "false" and "true".
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.signature import Feature

MAX_BINS = 10
SCORE_BINS = 20
# A category is kept with one row in so many: 0.5 %.
ROWS_A_CATEGORY = 200
# Where a value goes that is in no bin, in the order of its places after the bins.
OUTSIDE = {"numeric": ("null", "below", "above"), "categorical": ("null", "other")}
_BOOLEANS = {0.0: "false", 1.0: "true"}


def frozen(feature: Feature, column: npt.NDArray[Any]) -> dict[str, Any]:
    """The part of a profile for one feature: name, type, bins and the counts of `column` in them."""
    about: dict[str, Any] = {"name": feature.name, "type": feature.type}
    about |= deciles(column) if feature.type in {"integer", "number"} else _categories(about, column)
    return {**about, **counted(about, column)}


def counted(part: dict[str, Any], column: npt.NDArray[Any]) -> dict[str, Any]:
    """See `profile.counted`."""
    outside = OUTSIDE[part["kind"]]
    size = len(part["edges"] if part["kind"] == "numeric" else part["categories"])
    totals = np.bincount(placed(part, column), minlength=size + len(outside)).tolist()
    return {"counts": totals[:size], **dict(zip(outside, totals[size:], strict=True))}


def placed(part: dict[str, Any], column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The place of each value, shape (n,): the number of its bin or, after all bins, of its name in `OUTSIDE`."""
    if part["kind"] == "numeric":
        return _among_edges(part, np.asarray(column, dtype=np.float64))
    size = len(part["categories"])
    places = {category: place for place, category in enumerate(part["categories"])} | {"": size}
    found = [places.get(text, size + 1) for text in _texts(part, column)]
    return np.array(found, dtype=np.int64)


def _among_edges(part: dict[str, Any], numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    size = len(part["edges"])
    places = np.searchsorted(np.array(part["edges"], dtype=np.float64), numbers, side="left").astype(np.int64)
    # Of a reference without numbers every number is above.
    places[places == size] = size + 2
    if part["low"] is not None:
        places[numbers < part["low"]] = size + 1
    places[np.isnan(numbers)] = size
    return places


def _texts(part: dict[str, Any], column: npt.NDArray[Any]) -> list[str]:
    cells: list[Any] = column.tolist()
    if part["type"] != "boolean":
        return cells
    return ["" if np.isnan(cell) else _BOOLEANS.get(cell, str(cell)) for cell in cells]


def deciles(column: npt.NDArray[Any]) -> dict[str, Any]:
    """A numeric part with an edge at each decile of the finite numbers, the last their maximum; none twice.

    Where no more than ten values occur, each is an edge: a decile would not see the rare ones.
    """
    numbers = np.sort(column[np.isfinite(column)].astype(np.float64))
    edges = np.unique(numbers)
    if len(edges) > MAX_BINS:
        ends = [-(-len(numbers) * tenth // MAX_BINS) - 1 for tenth in range(1, MAX_BINS + 1)]
        edges = np.unique(numbers[ends])
    return {"kind": "numeric", "low": float(numbers[0]) if len(numbers) else None, "edges": edges.tolist()}


def equal_parts() -> dict[str, Any]:
    """A numeric part with 20 bins of equal width between 0 and 1."""
    edges = [place / SCORE_BINS for place in range(1, SCORE_BINS + 1)]
    return {"kind": "numeric", "low": 0.0, "edges": edges}


def _categories(about: dict[str, Any], column: npt.NDArray[Any]) -> dict[str, Any]:
    totals = Counter(_texts(about, column))
    del totals[""]
    kept = [text for text, count in totals.items() if count * ROWS_A_CATEGORY >= len(column)]
    return {"kind": "categorical", "categories": sorted(kept, key=lambda text: (-totals[text], text))}
