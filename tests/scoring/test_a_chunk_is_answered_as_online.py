"""What an algorithm answers to a whole chunk is what it answers online, whatever its class changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_forests
from onnx import TensorProto, helper
from people import as_rows, held_out_people
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.algorithm import Algorithm, Output, Prediction
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.apps.ml.scoring import bulk, validation
from ml_pipeline.apps.ml.scoring.bulk import BulkAlgorithm, PartedRuntime
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import AlgorithmFailed
from train_income_classifier import infer_signature

ROWS = 3_000
STRANGE = [{"workclass": "?", "occupation": "astronaut"}, {"age": 39}, {"sex": "ünknown"}, {"age": -1, "race": "?"}]


def told(algorithm: BulkAlgorithm, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Label, probability, probabilities and value of each row."""
    signature = algorithm.algorithm.signature
    answers, answered, failed = algorithm.answers(validation.of_columns(signature.columns(signature.rows(rows))))
    assert (len(answered), len(failed)) == (len(rows), 0)
    if answers.values is not None:
        return [(None, None, None, value) for value in answers.values.tolist()]
    assert answers.places is not None
    assert answers.probability is not None
    every = [None] * len(rows) if answers.probabilities is None else map(tuple, answers.probabilities.tolist())
    labels = [signature.labels[place] for place in answers.places.tolist()]
    return list(zip(labels, answers.probability.tolist(), every, [None] * len(rows), strict=True))


def agrees(algorithm: BulkAlgorithm, rows: Sequence[Any], online: Algorithm) -> None:
    expected = online.compute_prediction(online.signature.rows(rows))
    found = told(algorithm, rows)
    assert [one[0] for one in found] == [one.label for one in expected]
    for at, name in enumerate(("probability", "probabilities", "value"), start=1):
        wanted = np.array([getattr(one, name) for one in expected], dtype=float)
        np.testing.assert_allclose(np.array([one[at] for one in found], dtype=float), wanted, rtol=1e-6, atol=1e-6)


def people() -> list[dict[str, Any]]:
    return STRANGE + as_rows(held_out_people().sample(ROWS, random_state=1))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_forests.income_forest(tmp_path_factory.mktemp("forest") / "bundle")


@pytest.fixture(scope="module")
def online(bundle: Bundle) -> Algorithm:
    return loader.load_onnx(bundle)


@pytest.fixture(scope="module")
def forest(bundle: Bundle) -> BulkAlgorithm:
    return bulk.loaded(bundle, "onnx", ())


def test_the_reference_forest_is_taken_apart(forest: BulkAlgorithm, online: Algorithm) -> None:
    assert isinstance(forest.algorithm.runtime, PartedRuntime)
    agrees(forest, people(), online)
    agrees(forest, people()[:1], online)


def test_a_forest_of_three_classes(tmp_path: Path) -> None:
    bundle = small_forests.flowers(tmp_path / "bundle")
    made = bulk.loaded(bundle, "onnx", ())
    assert isinstance(made.algorithm.runtime, PartedRuntime)
    agrees(
        made,
        as_rows(held_out_people()[["age", "fnlwgt", "hours-per-week"]].astype(float).head(ROWS)),
        loader.load_onnx(bundle),
    )


@pytest.mark.parametrize("model", [GradientBoostingRegressor(n_estimators=5), LinearRegression(), LogisticRegression()])
def test_models_of_other_kinds(tmp_path: Path, model: Any) -> None:
    frame = held_out_people()[["age", "hours-per-week"]].astype(float)
    model.fit(frame, held_out_people()["education-num"] > 9 if hasattr(model, "predict_proba") else frame["age"] * 2)
    bundle = small_forests.compiled(tmp_path / "bundle", model, infer_regression(model, frame), frame)
    agrees(bulk.loaded(bundle, "onnx", ()), as_rows(frame.head(ROWS)), loader.load_onnx(bundle))


def infer_regression(model: Any, frame: Any) -> Signature:
    if hasattr(model, "predict_proba"):
        return infer_signature(model, frame)
    return Signature(tuple(Feature(str(name), "number") for name in frame), "regression")


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_trees_that_are_fed_as_they_are(tmp_path: Path, kind: int) -> None:
    trees = small_forests.stump("rows", "values", at=40.0)
    rows, values = (
        helper.make_tensor_value_info(name, form, [None, width])
        for name, form, width in (("rows", kind, 2), ("values", TensorProto.FLOAT, 1))
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph([trees], "trees", [rows], [values]), opset_imports=opsets, ir_version=9)
    signature = Signature((Feature("age", "integer"), Feature("hours", "integer")), "regression")
    people = [{"age": at, "hours": 40} for at in range(20, 80)]
    files = {bundles.ONNX_MODEL: model.SerializeToString(), bundles.SAMPLE: json.dumps(people[:30]).encode()}
    about = {"algorithm": "pipeline", "runtime": "onnx", "signature": signature.to_json()}
    bundle = bundles.write_bundle(tmp_path / "bundle", about, files)
    agrees(bulk.loaded(bundle, "onnx", ()), people, loader.load_onnx(bundle))


class Halved(Algorithm):
    def preprocess(self, rows: Sequence[Row]) -> Columns:
        return super().preprocess([{**row, "age": (row["age"] or 0) / 2} for row in rows])


class Doubting(Algorithm):
    def postprocess(self, output: Output) -> list[Prediction]:
        return [one._replace(probability=0.5) for one in super().postprocess(output)]


class Fixed(Algorithm):
    def predict(self, columns: Columns) -> Output:
        return np.tile([0.25, 0.75], (len(columns["age"]), 1))


class Curt(Algorithm):
    def postprocess(self, output: Output) -> list[Prediction]:
        return [Prediction("<=50K", None, None, None) for _ in output]


@pytest.mark.parametrize("family", [Algorithm, Halved, Doubting, Fixed, Curt])
def test_a_class_of_ones_own(forest: BulkAlgorithm, online: Algorithm, family: type[Algorithm]) -> None:
    algorithm = family(forest.algorithm.signature, forest.algorithm.runtime)
    rows = people()[:200]
    expected = family(online.signature, online.runtime).compute_prediction(online.signature.rows(rows))
    found = told(BulkAlgorithm(algorithm), rows)
    assert [one[0] for one in found] == [one.label for one in expected]
    wanted = [np.nan if one.probability is None else one.probability for one in expected]
    np.testing.assert_allclose([one[1] for one in found], wanted, atol=1e-6)


class Failing:
    """Fails where an age is 13."""

    name = "failing"
    is_isolated = False

    def predict(self, columns: Columns) -> Output:
        if (columns["age"] == 13).any():
            raise ValueError("thirteen")
        return np.asarray(columns["age"], dtype=np.float64)

    def close(self) -> None:
        """Nothing."""


AGES = Signature((Feature("age", "number"),), "regression")


def test_rows_on_which_it_fails_are_found() -> None:
    algorithm = BulkAlgorithm(Algorithm(AGES, Failing()))
    ages = [13.0 if at in (0, 500, 999) else float(at + 20) for at in range(1_000)]
    answers, answered, failed = algorithm.answers(validation.of_columns(AGES.columns([{"age": age} for age in ages])))
    assert failed.tolist() == [0, 500, 999]
    assert answers.values is not None
    assert answers.values.tolist() == [age for age in ages if age != 13]
    assert [ages[at] for at in answered] == answers.values.tolist()


def test_an_algorithm_that_fails_on_too_many_fails() -> None:
    algorithm = BulkAlgorithm(Algorithm(AGES, Failing()))
    with pytest.raises(AlgorithmFailed):
        algorithm.answers(validation.of_columns(AGES.columns([{"age": 13.0}] * (bulk.MAX_FAILED + 1))))


def test_scikit_learn_is_asked_for_the_same_columns() -> None:
    frame = held_out_people()[["age", "hours-per-week"]].astype(float)
    model = LinearRegression().fit(frame, frame["age"])
    signature = infer_regression(model, frame)
    algorithm = Algorithm(signature, SklearnRuntime(model, signature))
    agrees(BulkAlgorithm(algorithm), as_rows(frame.head(100)), algorithm)
