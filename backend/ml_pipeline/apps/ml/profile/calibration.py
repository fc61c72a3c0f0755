"""Calibration: from the confidence of a prediction to the probability that it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MIN_ROWS = 20
MAX_POINTS = 100
# Points that move no value by more than this are left out however few there are.
_NOTHING = 1e-9


def fitted(
    confidence: npt.NDArray[np.float64], predicted: npt.NDArray[np.int64], true: npt.NDArray[np.int64]
) -> dict[str, Any] | None:
    """The isotonic regression of being right on `confidence`, as points `x` and `y` of a line, at most 100.

    Arrays have shape (n,); of `true`, -1 is not known. `max_error` is how far the line is from the whole regression
    anywhere: where 100 points are not enough, those go first without which it moves least. None where fewer than 20
    truths are known, only one label is true, or an algorithm gave no probabilities.
    """
    from sklearn.isotonic import IsotonicRegression

    known = true >= 0
    if known.sum() < MIN_ROWS or len(np.unique(true[known])) < 2 or np.isnan(confidence[known]).any():
        return None
    right = (predicted == true)[known].astype(np.float64)
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(confidence[known], right)
    x, y = regression.X_thresholds_, regression.y_thresholds_
    kept = _kept(x, y)
    error = np.abs(np.interp(x, x[kept], y[kept]) - y).max()
    return {"x": x[kept].tolist(), "y": y[kept].tolist(), "max_error": float(error)}


def _kept(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    kept = np.arange(len(x))
    while len(kept) > 2:
        before, point, after = kept[:-2], kept[1:-1], kept[2:]
        between = y[before] + (y[after] - y[before]) * (x[point] - x[before]) / (x[after] - x[before])
        moved = np.abs(y[point] - between)
        least = int(moved.argmin())
        if len(kept) <= MAX_POINTS and moved[least] > _NOTHING:
            break
        kept = np.delete(kept, least + 1)
    return kept


def evaluated(calibrator: dict[str, Any], confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The line of `calibrator` at `confidence`, of its shape; beyond its ends, the value at the end."""
    return np.asarray(np.interp(confidence, calibrator["x"], calibrator["y"]), dtype=np.float64)
