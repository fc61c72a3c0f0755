"""scikit-learn: a fitted pipeline as it is; the yardstick of parity, and what serves a model that has no converter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns, Signature
from ml_pipeline.errors import InvalidArtifact

_EXACT = {"integer": np.int64, "boolean": np.bool_}


class SklearnRuntime:
    """Feeds the pipeline a DataFrame as a notebook would: missing strings of nullable features are NaN again."""

    name = "sklearn"

    def __init__(self, pipeline: Any, signature: Signature) -> None:
        wanted = "predict_proba" if signature.task == "classification" else "predict"
        if not hasattr(pipeline, wanted):
            raise InvalidArtifact(f"The pipeline has no {wanted}.")
        if signature.task == "classification":
            classes = tuple(str(label) for label in pipeline.classes_)
            if classes != signature.labels:
                raise InvalidArtifact(
                    f"The pipeline's classes are {classes}, the signature's labels {signature.labels}."
                )
        self._call = getattr(pipeline, wanted)
        self._features = signature.features

    def predict(self, columns: Columns) -> Output:
        """Class probabilities of shape (n, labels), or values of shape (n,), as float64."""
        output: Output = np.asarray(self._call(self.frame(columns)))
        return output

    def frame(self, columns: Columns) -> pd.DataFrame:
        """The columns as a notebook would hold them, NaN for every missing value."""
        frame = {}
        for feature in self._features:
            column = columns[feature.name]
            if feature.type == "string" and feature.nullable:
                column = np.where(column == "", np.nan, column)
            # As in training data without gaps: a step that spells a value out must see 1, not 1.0.
            elif feature.type in _EXACT and not feature.nullable:
                column = column.astype(_EXACT[feature.type])
            frame[feature.name] = column
        return pd.DataFrame(frame)
