"""A tree whose branches lead out of its memory, and a model that loops when a row tells it to."""

from __future__ import annotations

import io
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from hostile_archives import bundle
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

# Both crafted models are sound for x up to 5, and read foreign memory beyond.
SOUND = {"x": -1.0, "y": 0.0}
FATAL = {"x": 10.0, "y": 0.0}
FAR_AWAY = 4_000_000_000


def _fitted(model: Any) -> Any:
    rows = np.array([[-1.0, 0.0], [-2.0, 1.0], [9.0, 0.0], [10.0, 1.0]] * 20)
    return model.fit(pd.DataFrame(rows, columns=["x", "y"]), ["minus", "minus", "plus", "plus"] * 20)


def crafted_tree() -> DecisionTreeClassifier:
    """A tree whose right branch leads far away; a converter lists what the tree has, goes there too, and ends."""
    made = _fitted(DecisionTreeClassifier(random_state=0))
    state = made.tree_.__getstate__()
    nodes = state["nodes"].copy()
    nodes[2]["left_child"] = nodes[2]["right_child"] = FAR_AWAY
    nodes[2]["feature"], nodes[2]["threshold"] = 0, 0.0
    made.tree_.__setstate__({**state, "nodes": nodes})
    return made


def crafted_boosting() -> HistGradientBoostingClassifier:
    """A sum of trees whose right branches lead far away; nothing but an answer goes there."""
    made = _fitted(HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1, random_state=0))
    for (predictor,) in made._predictors:
        branch = predictor.nodes[int(predictor.nodes[0]["right"])]
        branch["is_leaf"], branch["left"], branch["right"] = 0, FAR_AWAY, FAR_AWAY
        branch["num_threshold"] = 5.0
    return made


class Looping(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Computes in Python for as many seconds as the row's x says, and answers."""

    classes_ = np.array(["minus", "plus"])
    n_features_in_ = 2

    def fit(self, rows: Any, labels: Any) -> Looping:
        return self

    def predict_proba(self, rows: Any) -> Any:
        import time

        table = np.asarray(rows, dtype=float)
        until = time.monotonic() + max(0.0, float(table[:, 0].max()))
        while time.monotonic() < until:
            pass
        return np.tile([0.25, 0.75], (len(table), 1))

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), "plus")


LOOPING = {"x": 10.0, "y": 0.0}
QUICK = {"x": 0.0, "y": 0.0}


def sound_rows() -> bytes:
    """Rows that both models answer at once."""
    return b"x,y\n" + b"".join(b"-%d.5,0.25\n" % at for at in range(40))


def training_bundle(model: Any, name: str) -> dict[str, bytes]:
    """The files of a bundle as an operator registers it: `model` as a joblib, with sound rows."""
    content = io.BytesIO()
    joblib.dump(model, content)
    return bundle({"model.joblib": content.getvalue(), "sample.csv": sound_rows()}, name=name)


def skops_file(model: Any) -> bytes:
    """A crafted model as a skops file."""
    return bytes(skops.io.dumps(model))
