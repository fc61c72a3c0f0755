"""A model in a child gives the very numbers that it gives in this process, whoever asks and whatever is in the rows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hostile_models import columns
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime, RaisedInChild
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import AlgorithmFailed

Make = Callable[..., IsolatedRuntime]
WORDS = ["", "plain", "naïve ☃", "🦜" * 50, "line\nbreak"]


def forest_bundle(folder: Path) -> tuple[Bundle, list[dict[str, Any]]]:
    """A forest over words and numbers, with gaps in both, and rows for it."""
    rng = np.random.default_rng(0)
    words, numbers = rng.choice(WORDS, 300), rng.normal(size=300)
    numbers[::7] = np.nan
    frame = pd.DataFrame({"word": words.astype(object), "number": numbers})
    encoder = ColumnTransformer(
        [("word", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["word"])], remainder="passthrough"
    )
    model = make_pipeline(encoder, RandomForestClassifier(20, random_state=0))
    model.fit(frame.replace("", np.nan), np.where(rng.random(300) < 0.5, "no", "yes"))
    features = (Feature("word", "string", nullable=True), Feature("number", "number", nullable=True))
    signature = Signature(features, "classification", ("no", "yes"))
    manifest = {"name": "forest", "algorithm": "pipeline", "signature": signature.to_json(), "runtime": "sklearn"}
    bundle = bundles.write_bundle(folder, manifest, {bundles.SKOPS_MODEL: skops.io.dumps(model)})
    # Words that it has never seen, and gaps as a request has them.
    words[:3] = ["unseen", "a\tb", "日本"]
    cells = zip(words.tolist(), numbers.tolist(), strict=True)
    return bundle, [{"word": word, "number": None if math.isnan(number) else number} for word, number in cells]


def test_its_probabilities_are_the_same_to_the_last_bit(tmp_path: Path, isolated: Make) -> None:
    bundle, rows = forest_bundle(tmp_path / "forest")
    here = loader.load_native(bundle, "sklearn", [])
    there = Algorithm(bundle.signature, isolated(bundle))
    for part in (rows[:1], rows[3:4], rows, rows * 20):
        assert there.compute_prediction(part) == here.compute_prediction(part)


def test_a_regression_is_the_same_too(tmp_path: Path, isolated: Make) -> None:
    x = np.random.default_rng(0).normal(size=(50, 2))
    model = LinearRegression().fit(pd.DataFrame(x, columns=["x", "y"]), x @ [1.0, -2.0])
    signature = Signature((Feature("x", "number"), Feature("y", "number")), "regression")
    manifest = {"name": "line", "algorithm": "pipeline", "signature": signature.to_json(), "runtime": "sklearn"}
    bundle = bundles.write_bundle(tmp_path / "line", manifest, {bundles.SKOPS_MODEL: skops.io.dumps(model)})
    rows = [{"x": float(one), "y": float(two)} for one, two in x]
    here = [one.value for one in loader.load_native(bundle, "sklearn", []).compute_prediction(rows)]
    there = [one.value for one in Algorithm(signature, isolated(bundle)).compute_prediction(rows)]
    # A sum of products may be taken in another order where other libraries were loaded before.
    assert there == pytest.approx(here, rel=1e-12)


def test_it_says_what_it_is(isolated: Make) -> None:
    runtime = isolated()
    assert (runtime.name, runtime.is_isolated) == ("sklearn", True)
    assert runtime.memory_bytes() > 10_000_000
    runtime.close()
    assert runtime.memory_bytes() == 0


def test_each_thread_gets_its_own_answers(isolated: Make) -> None:
    runtime = isolated()
    barrier = threading.Barrier(8)

    def ask(thread: int) -> None:
        barrier.wait()
        for turn in range(100):
            numbers = [thread * 1000.0 + turn + part for part in range(thread + 1)]
            assert runtime.predict(columns("fine", *numbers))[:, 0].tolist() == numbers

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_an_exception_is_a_failure_with_its_text_for_the_log_alone(isolated: Make) -> None:
    runtime = isolated()
    pid = runtime.predict(columns("pid"))[0, 1]
    with pytest.raises(AlgorithmFailed) as caught:
        runtime.predict(columns("complain"))
    assert "hunter2" not in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, RaisedInChild)
    assert str(cause).startswith("ValueError: hunter2 ERROR a forged line")
    assert len(str(cause)) < 400
    assert runtime.predict(columns("pid"))[0, 1] == pid


def test_what_is_no_number_comes_through_and_is_refused_as_in_process(isolated: Make) -> None:
    runtime = isolated()
    assert np.isnan(runtime.predict(columns("nan"))[0, 1])
    algorithm = Algorithm(
        Signature((Feature("order", "string"), Feature("number", "number")), "classification", ("a", "b")), runtime
    )
    with pytest.raises(AlgorithmFailed, match="not a finite number"):
        algorithm.compute_prediction([{"order": "nan", "number": 1.0}])
