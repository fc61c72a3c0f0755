"""What the three reference algorithms share: the Adult features, in any spelling of "missing" that its files use."""

from __future__ import annotations

from ml_pipeline.apps.ml.algorithm import Algorithm


class IncomeClassifier(Algorithm):
    """Predicts `>50K` or `<=50K` from 14 features of a person."""

    # By a lone `?` the original files mark an unknown value.
    missing = frozenset({"?"})
