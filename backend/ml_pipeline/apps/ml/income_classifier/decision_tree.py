"""The decision tree of the reference algorithms."""

from ml_pipeline.apps.ml.income_classifier.classifier import IncomeClassifier


class DecisionTreeIncomeClassifier(IncomeClassifier):
    """Decision tree over imputed numbers and ordinal-encoded categories."""

    description = "One tree of yes-or-no questions: small, quick, and readable from root to leaf."
