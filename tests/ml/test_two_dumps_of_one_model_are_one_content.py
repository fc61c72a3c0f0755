"""The digest of a model's content is the same for every dump of it, and another for every other model."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from homes import REPOSITORY
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import identity

FINALS: dict[str, Callable[[], Any]] = {
    "forest": lambda: RandomForestClassifier(8, random_state=0),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "logistic regression": LogisticRegression,
    "support vectors": SVC,
    "calibrated tree": lambda: CalibratedClassifierCV(DecisionTreeClassifier(random_state=0), cv=2),
    "LightGBM": lambda: lightgbm.LGBMClassifier(n_estimators=5, random_state=0, n_jobs=1, verbose=-1),
    "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=5, random_state=0, n_jobs=1),
}


def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    words = ["the cat sat on a mat", "dogs run far away", "a bird of prey", "cats and dogs"]
    return pd.DataFrame(
        {
            "x": random.normal(size=200),
            "size": random.choice(["small", "large", "huge"], 200),
            "colour": random.choice(["red", "blue"], 200),
            "text": random.choice(words, 200),
        }
    )


def trained(name: str, **settings: Any) -> Pipeline:
    """A pipeline with a step of every kind and the final step `name`."""
    frame = rows()
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(FunctionTransformer(np.tanh), StandardScaler()), ["x"]),
            ("ordinal", OrdinalEncoder(), ["size"]),
            ("one-hot", OneHotEncoder(), ["colour"]),
            ("text", TfidfVectorizer(stop_words=sorted({"the", "a", "of", "on"})), "text"),
        ],
        sparse_threshold=0,
    )
    pipeline = Pipeline([("columns", columns), ("final", FINALS[name]().set_params(**settings))])
    return pipeline.fit(frame, np.where(frame.x + (frame["size"] == "huge") > 0.3, 1, 0))


def by_joblib(model: Any, **settings: Any) -> Any:
    dump = io.BytesIO()
    joblib.dump(model, dump, **settings)
    dump.seek(0)
    return joblib.load(dump)


def by_skops(model: Any) -> Any:
    dump = skops.io.dumps(model)
    return skops.io.loads(dump, trusted=skops.io.get_untrusted_types(data=dump))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FINALS)
def test_however_it_was_dumped_it_is_one_content(name: str) -> None:
    pipeline = trained(name)
    digest = identity.of_object(pipeline)
    assert len(bytes.fromhex(digest)) == 32
    loaded = [by_joblib(pipeline), by_joblib(pipeline, compress=3), by_skops(pipeline), by_skops(by_joblib(pipeline))]
    for one in loaded:
        assert identity.of_object(one) == digest
        one.predict(rows())
        assert identity.of_object(one) == digest


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_random_numbers_under_way_are_one_content(make: Callable[[int], Any]) -> None:
    forest = RandomForestClassifier(random_state=make(3))
    forest.random_state.normal(size=5)
    digests = {identity.of_object(one) for one in (forest, by_joblib(forest), by_skops(forest), by_skops(forest))}
    assert len(digests) == 1


@pytest.mark.parametrize("name", FINALS)
def test_trained_twice_with_one_seed_it_is_one_content(name: str) -> None:
    assert identity.of_object(trained(name)) == identity.of_object(trained(name))


@pytest.mark.parametrize("name", ["forest", "gradient boosting", "XGBoost"])
def test_another_setting_or_seed_is_another_content(name: str) -> None:
    parameters = [{}, {"random_state": 1}, {"n_estimators": 6}, {"max_depth": 2}]
    assert len({identity.of_object(trained(name, **one)) for one in parameters}) == len(parameters)
    assert identity.of_object(clone(trained(name))) != identity.of_object(trained(name))


def test_one_changed_number_anywhere_is_another_content() -> None:
    pipeline = trained("forest")
    digests = {identity.of_object(pipeline)}
    trees = pipeline["final"].estimators_
    trees[3].tree_.value[1, 0, 0] += 2**-50
    digests.add(identity.of_object(pipeline))
    trees[5].tree_.threshold[0] = np.nextafter(trees[5].tree_.threshold[0], 9)
    digests.add(identity.of_object(pipeline))
    columns = pipeline["columns"]
    columns.named_transformers_["numbers"][1].mean_ = columns.named_transformers_["numbers"][1].mean_.astype("f4")
    digests.add(identity.of_object(pipeline))
    columns.named_transformers_["ordinal"].categories_[0][1] = "medium"
    digests.add(identity.of_object(pipeline))
    columns.named_transformers_["text"].vocabulary_["bird"] += 1
    digests.add(identity.of_object(pipeline))
    columns.named_transformers_["numbers"][0].func = np.sinh
    digests.add(identity.of_object(pipeline))
    assert len(digests) == 7


def test_a_nudge_taken_back_is_the_former_content() -> None:
    pipeline = trained("logistic regression")
    digest = identity.of_object(pipeline)
    other = copy.deepcopy(pipeline)
    other["final"].coef_[0, 0] *= -1
    assert identity.of_object(other) != digest
    other["final"].coef_[0, 0] *= -1
    assert identity.of_object(other) == digest


def test_another_process_with_other_hashes_finds_the_same(tmp_path: Path) -> None:
    names = ["forest", "XGBoost"]
    for name in names:
        pipeline = trained(name)
        # A set of strings: its order is another in each process.
        pipeline["columns"].transformers_[3][1].stop_words = frozenset({"the", "a", "of", "on", "and", "far"})
        joblib.dump(pipeline, tmp_path / name)
    program = (
        "import sys, joblib\nfrom ml_pipeline.apps.ml import identity\n"
        "print([identity.of_object(joblib.load(path)) for path in sys.argv[1:]])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, *(str(tmp_path / name) for name in names)],
            env={"PYTHONHASHSEED": seed, "PATH": "", "OMP_NUM_THREADS": "1"},
            cwd=REPOSITORY,
            check=True,
            text=True,
            capture_output=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert said == {str([identity.of_object(joblib.load(tmp_path / name)) for name in names])}


def test_parts_are_combined_whatever_their_order() -> None:
    assert identity.combined({"a": [1, None], "b": "ü"}) == identity.combined({"b": "ü", "a": [1, None]})
    assert identity.combined({"a": [1, None]}) != identity.combined({"a": [1, 0]})
