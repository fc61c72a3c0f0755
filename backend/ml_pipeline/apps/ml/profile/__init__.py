"""The reference profile: what a model's reference rows looked like, frozen, for drift and calibration.

It is JSON: `format`, `rows`, `features`, `scores`, `labels`, `metrics` and `calibrator`. What came after it was frozen
is counted by `counted` into the same bins: integers, which add up over hours and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.algorithm import Prediction
from ml_pipeline.apps.ml.profile import bins, calibration, measures
from ml_pipeline.apps.ml.signature import Columns, Signature
from ml_pipeline.errors import InvalidArtifact

FORMAT = 1
Numbers = npt.NDArray[np.float64]


def profiled(
    signature: Signature, columns: Columns, predictions: Sequence[Prediction], truths: Sequence[Any] | None
) -> dict[str, Any]:
    """The reference profile of n rows: their columns, what the model predicted and, where known, what was true.

    A truth of None, NaN or "" is not known. Without truths, `metrics` and `calibrator` are None and so are true labels.
    Raises InvalidArtifact for a truth that is none of the labels or, in regression, no finite number.
    """
    if truths is not None and len(truths) != len(predictions):
        raise InvalidArtifact(f"{len(truths)} true outcomes came for {len(predictions)} rows.")
    about = {
        "format": FORMAT,
        "rows": len(predictions),
        "features": [bins.frozen(feature, columns[feature.name]) for feature in signature.features],
        "scores": _scores(signature, predictions),
    }
    if signature.task == "regression":
        metrics = None if truths is None else measures.regression(predictions, measures.true_values(truths))
        return {**about, "labels": None, "metrics": metrics, "calibrator": None}
    predicted = measures.predicted_labels(signature, predictions)
    labels = {"predicted": measures.totals(signature, predicted), "true": None}
    if truths is None:
        return {**about, "labels": labels, "metrics": None, "calibrator": None}
    true = measures.true_labels(signature, truths)
    return {
        **about,
        "labels": {**labels, "true": measures.totals(signature, true)},
        "metrics": measures.classification(signature, predictions, true),
        "calibrator": calibration.fitted(confidences(signature, predictions), predicted, true),
    }


def counted(part: dict[str, Any], column: npt.NDArray[Any]) -> dict[str, Any]:
    """How many of the n values of `column` fall where in `part`, one of a profile's features or its scores.

    `counts` has one integer a bin; `null` and, of numbers, `below` and `above` or, of categories, `other` have the
    rest. Together they are n.
    """
    return bins.counted(part, column)


def scored(signature: Signature, predictions: Sequence[Prediction]) -> Numbers:
    """What the histogram of scores counts, shape (n,): a value, or the probability that a reply names, within [0, 1].

    NaN where an algorithm gave none.
    """
    if signature.task == "regression":
        return np.array([one.value for one in predictions], dtype=np.float64)
    # A float32 may exceed 1 by its last bit.
    return np.clip(np.array([one.probability for one in predictions], dtype=np.float64), 0.0, 1.0)


def confidences(signature: Signature, predictions: Sequence[Prediction]) -> Numbers:
    """The probability of the label that was predicted, shape (n,); NaN where an algorithm gave none."""
    places = {label: place for place, label in enumerate(signature.labels)}
    found = [
        one.probabilities[places[one.label]] if one.probabilities is not None and one.label in places else None
        for one in predictions
    ]
    return np.array(found, dtype=np.float64)


def calibrated(profile: dict[str, Any], confidence: Numbers) -> Numbers:
    """The probability that a prediction of that confidence is right, of the shape of `confidence`.

    Raises ValueError where the profile has no calibrator.
    """
    if profile["calibrator"] is None:
        raise ValueError("This reference profile has no calibrator.")
    return calibration.evaluated(profile["calibrator"], confidence)


def _scores(signature: Signature, predictions: Sequence[Prediction]) -> dict[str, Any]:
    scores = scored(signature, predictions)
    if signature.task == "regression":
        part = {"of": "value", **bins.deciles(scores)}
    else:
        part = {"of": signature.labels[1] if len(signature.labels) == 2 else None, **bins.equal_parts()}
    return {**part, **bins.counted(part, scores)}
