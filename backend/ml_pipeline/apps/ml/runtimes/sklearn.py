"""scikit-learn: a fitted pipeline as it is; the yardstick of parity, and what serves a model that has no converter."""

from __future__ import annotations

from typing import Any, Literal

import joblib
import numpy as np
import pandas as pd

from ml_pipeline.apps.ml import boosting, parts
from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import InvalidArtifact

_EXACT = {"integer": np.int64, "boolean": np.bool_}
# What strings are in the pipeline's DataFrame: boosting that was trained on pandas' categories wants these again.
Strings = Literal["object", "category"]


class SklearnRuntime:
    """Feeds the pipeline what it was fitted on: a DataFrame, or a matrix, or a list of texts, where it knows no names.

    Its classes are the signature's labels, in order; the labels may be other words for them. With `names_labels` each
    row's last number is the place of the label that the pipeline's own predict gives it. The pipeline is changed: it
    starts no processes or threads from now on.
    """

    name = "sklearn"
    is_isolated = False

    def __init__(
        self, pipeline: Any, signature: Signature, strings: Strings = "object", *, names_labels: bool = False
    ) -> None:
        wanted = "predict_proba" if signature.task == "classification" else "predict"
        if not hasattr(pipeline, wanted):
            raise InvalidArtifact(f"The pipeline has no {wanted}.{_way_out(pipeline, wanted)}")
        if signature.task == "classification":
            _check_labels([str(label) for label in pipeline.classes_], signature.labels)
        _keep_to_one_job(pipeline)
        self.pipeline = pipeline
        self.names_labels = names_labels
        self._signature = signature
        self._call = getattr(pipeline, wanted)
        self._places = {str(one): at for at, one in enumerate(pipeline.classes_)} if names_labels else None
        self._strings = strings
        self._categories = boosting.categories(pipeline) if strings == "category" else {}
        self._is_named = getattr(pipeline, "feature_names_in_", None) is not None

    def predict(self, columns: Columns) -> Output:
        """Class probabilities of shape (n, labels), or (n, labels + 1) with labels; or values of shape (n,); float64.

        What `Algorithm.postprocess` takes.
        """
        given = self._given(columns)
        # A step with a way of its own to ask for several jobs gets threads: processes cannot be started here.
        with joblib.parallel_config(backend="threading", n_jobs=1):
            output: Output = np.asarray(self._call(given))
            if self._places is None:
                return output
            named = [self._places[str(label)] for label in self.pipeline.predict(given)]
        return np.column_stack([output, np.array(named, dtype=np.float64)])

    def naming_labels(self) -> SklearnRuntime:
        """The same pipeline, whose own predict names the labels."""
        return SklearnRuntime(self.pipeline, self._signature, self._strings, names_labels=True)

    def close(self) -> None:
        """Nothing to do: the pipeline goes with its last user."""

    def _given(self, columns: Columns) -> Any:
        # As the pipeline was fitted: by name, or side by side, or for a single text the texts.
        kinds = {feature.type == "string" for feature in self._signature.features}
        if self._is_named or len(kinds) > 1:
            return self._frame(columns)
        if kinds == {True}:
            texts = [self._text(feature, columns) for feature in self._signature.features]
            return columns[self._signature.features[0].name] if len(texts) == 1 else np.column_stack(texts)
        return np.column_stack([columns[feature.name] for feature in self._signature.features])

    def _frame(self, columns: Columns) -> pd.DataFrame:
        frame = {}
        for feature in self._signature.features:
            column: Any = columns[feature.name]
            if feature.type == "string":
                column = self._text(feature, columns)
                if self._strings == "category":
                    # Of this batch, unless told: each library finds its own number for a category by its name.
                    column = pd.Categorical(column, categories=self._categories.get(feature.name))
            # As in training data without gaps: a step that spells a value out must see 1, not 1.0.
            elif feature.type in _EXACT and not feature.nullable:
                column = column.astype(_EXACT[feature.type])
            frame[feature.name] = column
        return pd.DataFrame(frame)

    def _text(self, feature: Feature, columns: Columns) -> Any:
        column = columns[feature.name]
        return np.where(column == "", np.nan, column) if feature.nullable else column


def _check_labels(classes: list[str], labels: tuple[str, ...]) -> None:
    if len(classes) != len(labels) or (set(classes) == set(labels) and tuple(classes) != labels):
        raise InvalidArtifact(
            f"The pipeline's classes are {', '.join(classes)}, the signature's labels {', '.join(labels)}: "
            "name one for each class, in their order."
        )


def _keep_to_one_job(pipeline: Any) -> None:
    # The serving processes are many already, and in a confined one joblib's workers would never answer.
    for one in parts.within(pipeline):
        if "n_jobs" in getattr(one, "__dict__", {}):
            one.n_jobs = 1
        if type(one).__module__ == "xgboost.core" and type(one).__name__ == "Booster":
            one.set_param({"nthread": 1})


def _way_out(pipeline: Any, wanted: str) -> str:
    if wanted == "predict_proba" and hasattr(pipeline, "decision_function"):
        return " Its scores are none: wrap it in CalibratedClassifierCV, fit that, and upload that."
    return ""
