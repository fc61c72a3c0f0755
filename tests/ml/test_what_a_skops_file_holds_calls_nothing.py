"""A scorer calls any method of a model by name; it is loaded only where nothing ever calls it."""

from __future__ import annotations

import collections
import functools
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.metrics._scorer import _PassthroughScorer
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from small_models import small_frame
from xgboost import XGBClassifier

from ml_pipeline.apps.ml import loader
from ml_pipeline.errors import InvalidArtifact

FRAME = small_frame()
LABELS = np.where(FRAME.x + FRAME.y > 0, "plus", "minus")
DEPTHS = {"max_depth": [1, 2]}


def saving() -> Any:
    """Called with the name of a file, it would have a model write that file."""
    made = make_scorer(np.mean)
    made._response_method = "save_model"
    return made


BOOSTED = XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(FRAME, LABELS == "plus")
CALLED = functools.partial(saving(), BOOSTED, y_true=None)
HIDDEN: dict[str, Any] = {
    "a function of a step": FunctionTransformer(saving()),
    "an argument of a step": FunctionTransformer(np.mean, kw_args={"axis": saving()}),
    "a function that splits texts": CountVectorizer(analyzer=CALLED),
    "what makes a missing word": CountVectorizer(vocabulary=collections.defaultdict(CALLED)),
    "a kernel": GaussianProcessRegressor(saving()),
    "an array of objects": StandardScaler().set_params(copy=np.array([saving()], dtype=object)),
    "a scorer's own function": GridSearchCV(Ridge(), {}, scoring=make_scorer(saving())),
    "one that asks for a score": FunctionTransformer(_PassthroughScorer(Ridge())),
}


@pytest.mark.parametrize("place", HIDDEN)
def test_a_scorer_that_could_be_called_is_refused(place: str) -> None:
    content = skops.io.dumps(HIDDEN[place])
    with pytest.raises(InvalidArtifact, match="Scorer"):
        loader.load_skops(content)


NUMBERS = make_column_transformer((StandardScaler(), make_column_selector(dtype_include=np.number)))
COMMON: dict[str, Any] = {
    "a column selector": make_pipeline(NUMBERS, LogisticRegression()),
    "a search": GridSearchCV(DecisionTreeClassifier(), DEPTHS, cv=3),
    "a search at random": RandomizedSearchCV(
        DecisionTreeClassifier(), DEPTHS, n_iter=2, cv=KFold(3), scoring="f1_macro"
    ),
    "a threshold": TunedThresholdClassifierCV(LogisticRegression(), cv=3),
    "splines": make_pipeline(SplineTransformer(), LogisticRegression()),
    "codes": OutputCodeClassifier(DecisionTreeClassifier(), random_state=0),
}


@pytest.mark.parametrize("name", COMMON)
def test_common_steps_are_loaded(name: str) -> None:
    model = COMMON[name].fit(FRAME, LABELS)
    loaded = loader.load_skops(skops.io.dumps(model))
    np.testing.assert_array_equal(loaded.predict(FRAME), model.predict(FRAME))


def test_kernels_are_loaded() -> None:
    model = GaussianProcessRegressor(2.0 * RBF() + RBF(0.5)).fit(FRAME, FRAME.x)
    np.testing.assert_array_equal(loader.load_skops(skops.io.dumps(model)).predict(FRAME), model.predict(FRAME))
