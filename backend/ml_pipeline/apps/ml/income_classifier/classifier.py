"""What the three reference algorithms share: the Adult features, in any spelling of "missing" that its files use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.signature import Columns


class IncomeClassifier(Algorithm):
    """Predicts `>50K` or `<=50K` from 14 features of a person."""

    def preprocess(self, rows: Sequence[Row]) -> Columns:
        """Columns of the rows; a lone `?`, by which the original files mark an unknown value, is missing."""
        columns = super().preprocess(rows)
        for name, column in columns.items():
            if column.dtype == object and "?" in column.tolist():
                columns[name] = np.where(column == "?", "", column)
        return columns
