"""The random forest of the reference algorithms."""

from ml_pipeline.apps.ml.income_classifier.classifier import IncomeClassifier


class RandomForestIncomeClassifier(IncomeClassifier):
    """Random forest over imputed numbers and ordinal-encoded categories."""

    description = (
        "Many deep trees, each grown on a bootstrap sample with random features at every split; their mean vote."
    )
