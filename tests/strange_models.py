"""A model that misbehaves on request, for what only a misbehaving model can show."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.signature import Feature, Signature

PATIENCE_S = 30.0


class StrangeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Does what its one feature says: `fine`, `raise`, `raise TEXT`, `nan`, `die`, or `wait PATH`: for a file there."""

    classes_ = np.array(["no", "yes"])
    # As of a model that was fitted on a DataFrame.
    feature_names_in_ = np.array(["order"], dtype=object)

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        return np.array([self._answer(str(order)) for order in frame["order"]])

    def _answer(self, order: str) -> list[float]:
        if order == "raise":
            raise ValueError("asked to raise, with a secret in the message: hunter2")
        if order.startswith("raise "):
            raise ValueError(order[6:])
        if order == "die":
            os._exit(1)
        if order == "nan":
            return [float("nan"), 0.5]
        if order.startswith("wait "):
            until = time.monotonic() + PATIENCE_S
            while not Path(order[5:]).exists() and time.monotonic() < until:
                time.sleep(0.01)
        return [0.25, 0.75]


class Calm(StrangeClassifier):  # type: ignore[misc]
    """Says no to everything, whatever it is asked to do."""

    def _answer(self, order: str) -> list[float]:
        return [0.75, 0.25]


class SlowToLoad(StrangeClassifier):  # type: ignore[misc]
    """Is loaded once there is a file at `path`."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._answer(f"wait {self.path}")


def write_strange_bundle(folder: Path, classifier: StrangeClassifier | None = None) -> Path:
    """The bundle of a StrangeClassifier at `folder`."""
    model = io.BytesIO()
    joblib.dump(classifier or StrangeClassifier(), model)
    signature = Signature((Feature("order", "string"),), "classification", ("no", "yes"))
    manifest = {"name": "strange", "algorithm": "pipeline", "signature": signature.to_json()}
    files = {bundles.JOBLIB_MODEL: model.getvalue(), bundles.SAMPLE_CSV: b"order\nfine\n"}
    bundles.write_bundle(folder, manifest, files)
    return folder
