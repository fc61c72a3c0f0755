"""Reference metrics: how right a model was on its reference rows, by scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact

CAP_QUANTILE = 0.995


def predicted_labels(signature: Signature, predictions: Sequence[Prediction]) -> npt.NDArray[np.int64]:
    """The place of each predicted label in the signature, shape (n,); -1 for what is none of its labels."""
    places = {label: place for place, label in enumerate(signature.labels)}
    return np.array([places.get(str(one.label), -1) for one in predictions], dtype=np.int64)


def true_labels(signature: Signature, truths: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The place of each true label in the signature, shape (n,); -1 where it is not known.

    A number is the label of the same value: 1, 1.0 and "1" are one. Raises InvalidArtifact for any other label.
    """
    places = {label: place for place, label in enumerate(signature.labels)}
    numbers = {_number(label): place for label, place in places.items()} | {None: None}
    found = []
    for row, truth in enumerate(truths):
        place = -1 if _is_unknown(truth) else places.get(str(truth), numbers.get(_number(truth)))
        if place is None:
            raise InvalidArtifact(f"The true label {str(truth)[:60]!r} of row {row} is none of the model's labels.")
        found.append(place)
    return np.array(found, dtype=np.int64)


def true_values(truths: Sequence[Any]) -> npt.NDArray[np.float64]:
    """The true values, shape (n,), NaN where not known. Raises InvalidArtifact for what is no finite number."""
    found = []
    for row, truth in enumerate(truths):
        number = math.nan if _is_unknown(truth) else _number(truth)
        if number is None:
            raise InvalidArtifact(f"The true value {str(truth)[:60]!r} of row {row} is no finite number.")
        found.append(number)
    return np.array(found, dtype=np.float64)


def _is_unknown(truth: Any) -> bool:
    return truth is None or truth == "" or (isinstance(truth, float | np.floating) and math.isnan(truth))


def _number(truth: Any) -> float | None:
    try:
        number = float(truth)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def totals(signature: Signature, places: npt.NDArray[np.int64]) -> dict[str, int]:
    """Label to count, in the signature's order."""
    counts = np.bincount(places[places >= 0], minlength=len(signature.labels)).tolist()
    return dict(zip(signature.labels, counts, strict=True))


def classification(
    signature: Signature, predictions: Sequence[Prediction], true: npt.NDArray[np.int64]
) -> dict[str, Any] | None:
    """Metrics of the rows whose label is known (not -1 in `true`); None where none is.

    `brier` is within [0, 1] for any number of labels. None stands for what is not defined: precision of a label never
    predicted, recall of one never true, `roc_auc` unless there are two labels and both occur.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    known = np.flatnonzero(true >= 0).tolist()
    if not known:
        return None
    true, chosen = true[known], [predictions[at] for at in known]
    predicted = predicted_labels(signature, chosen)
    every = range(len(signature.labels))
    precision, recall, _, _ = precision_recall_fscore_support(true, predicted, labels=every, zero_division=np.nan)
    return {
        "rows": len(known),
        "accuracy": float(accuracy_score(true, predicted)),
        **_of_probabilities(len(every), chosen, true),
        "labels": {
            label: {"precision": _finite(precision[place]), "recall": _finite(recall[place])}
            for place, label in enumerate(signature.labels)
        },
    }


def _of_probabilities(size: int, chosen: Sequence[Prediction], true: npt.NDArray[np.int64]) -> dict[str, float | None]:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    if any(one.probabilities is None for one in chosen):
        return {"log_loss": None, "brier": None, "roc_auc": None}
    given = np.clip(np.array([one.probabilities for one in chosen], dtype=np.float64), 0.0, 1.0)
    total = given.sum(axis=1, keepdims=True)
    # Sums of float32 miss 1 by a little, and scikit-learn minds.
    probabilities = np.divide(given, total, out=np.full_like(given, 1 / size), where=total > 0)
    both = size == 2 and len(np.unique(true)) == 2
    every = range(size)
    return {
        "log_loss": float(log_loss(true, probabilities, labels=every)),
        "brier": float(brier_score_loss(true, probabilities, labels=every, scale_by_half=True)),
        "roc_auc": float(roc_auc_score(true, given[:, 1])) if both else None,
    }


def regression(predictions: Sequence[Prediction], true: npt.NDArray[np.float64]) -> dict[str, Any] | None:
    """Metrics of the rows whose value is known (not NaN in `true`); None where none is.

    `caps` are the 99.5 % quantiles of the absolute and the squared errors. `r2` is None where all true values are one.
    """
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    known = np.flatnonzero(~np.isnan(true)).tolist()
    if not known:
        return None
    true = true[known]
    values = np.array([predictions[at].value for at in known], dtype=np.float64)
    # Squares of the greatest floats are infinite; what is not finite is None.
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.abs(values - true)
        return {
            "rows": len(known),
            "mae": _finite(mean_absolute_error(true, values)),
            "rmse": _finite(root_mean_squared_error(true, values)),
            "r2": _finite(r2_score(true, values)) if len(np.unique(true)) > 1 else None,
            "caps": {
                "absolute": _finite(np.quantile(errors, CAP_QUANTILE)),
                "squared": _finite(np.quantile(errors**2, CAP_QUANTILE)),
            },
        }


def _finite(number: Any) -> float | None:
    return float(number) if math.isfinite(number) else None
