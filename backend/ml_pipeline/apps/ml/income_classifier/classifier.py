"""What the three reference algorithms share: the Adult features, in any spelling of "missing" that its files use."""

from __future__ import annotations

from collections.abc import Sequence

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.signature import Columns, Row


class IncomeClassifier(Algorithm):
    """Predicts `>50K` or `<=50K` from 14 features of a person."""

    def preprocess(self, rows: Sequence[Row]) -> Columns:
        """Columns of the rows; a lone `?`, by which the original files mark an unknown value, is missing."""
        unknown = [{name: None if value == "?" else value for name, value in row.items()} for row in rows]
        return self.signature.columns(unknown)
