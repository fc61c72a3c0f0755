"""What the encoders in a fitted pipeline know: the values of each feature that they were fitted on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

# Where wrappers of scikit-learn keep what they fitted.
_WITHIN = ("best_estimator_", "estimator_", "regressor_")


def known_values(pipeline: Any, names: Sequence[str]) -> dict[str, frozenset[Any]]:
    """Feature to the values that an encoder of `pipeline` was fitted on, without missing ones; others are not in it.

    `names` are the features in the pipeline's order. Only values that reach the encoder as they came are found: at most
    an imputer stands before it. Of a feature with two encoders, what both know.
    """
    found: dict[str, frozenset[Any]] = {}
    try:
        for name, known in _found(pipeline, list(names)):
            found[name] = found[name] & known if name in found else known
    # Of a step that only looks like scikit-learn's nothing is known.
    except (AttributeError, IndexError, RecursionError, TypeError, ValueError):
        return {}
    return found


def _found(step: Any, names: list[str]) -> Iterator[tuple[str, frozenset[Any]]]:
    inner = next((getattr(step, name) for name in _WITHIN if hasattr(step, name)), None)
    if inner is not None:
        yield from _found(inner, names)
    elif hasattr(step, "transformers_"):
        names = [str(name) for name in getattr(step, "feature_names_in_", names)]
        for _, part, columns in step.transformers_:
            yield from _found(part, _chosen(names, columns))
    elif hasattr(step, "transformer_list"):
        for _, part in step.transformer_list:
            yield from _found(part, names)
    elif hasattr(step, "steps"):
        for _, part in step.steps:
            yield from _found(part, names)
            if not _keeps_values(part):
                return
    elif len(getattr(step, "categories_", ())) == len(names):
        for name, values in zip(names, step.categories_, strict=True):
            yield name, frozenset(value for value in np.asarray(values).tolist() if not _is_missing(value))


def _chosen(names: list[str], columns: Any) -> list[str]:
    if isinstance(columns, str):
        return [columns]
    if not isinstance(columns, slice):
        columns = np.asarray(columns)
        if columns.dtype.kind in "OU":
            return [str(column) for column in columns]
    # Places, a mask or a slice of places.
    return [str(name) for name in np.atleast_1d(np.array(names, dtype=object)[columns])]


def _keeps_values(step: Any) -> bool:
    from sklearn.impute import SimpleImputer

    return step is None or step == "passthrough" or isinstance(step, SimpleImputer)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
