"""A compiled model in parts answers as the whole does also where its sample does not come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_forests
from onnx import TensorProto, helper
from people import as_rows, held_out_people
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import bulk, groves, validation
from ml_pipeline.apps.ml.scoring.bulk import PartedRuntime
from ml_pipeline.apps.ml.signature import Feature, Signature

COLOURS = Signature((Feature("colour", "string"),), "regression")
AGES = Signature((Feature("age", "number"),), "regression")


def bundle_of(folder: Path, nodes: list[Any], signature: Signature, sample: list[Any]) -> Bundle:
    given = TensorProto.STRING if signature is COLOURS else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(signature.names[0], given, [None, 1])],
        [helper.make_tensor_value_info("told", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("ai.onnx.ml", 4)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    files = {bundles.ONNX_MODEL: model.SerializeToString(), bundles.SAMPLE: json.dumps(sample).encode()}
    about = {"algorithm": "pipeline", "runtime": "onnx", "signature": signature.to_json()}
    return bundles.write_bundle(folder, about, files)


def agrees(bundle: Bundle, rows: list[Any]) -> Any:
    online, algorithm = loader.load_onnx(bundle), bulk.loaded(bundle, "onnx", ())
    expected = [one.value for one in online.compute_prediction(online.signature.rows(rows))]
    inputs = validation.of_columns(online.signature.columns(online.signature.rows(rows)))
    assert np.asarray(algorithm.answers(inputs)[0].values).reshape(-1).tolist() == expected
    return algorithm.algorithm.runtime


@pytest.mark.parametrize(
    ("more", "is_apart"),
    [
        ({}, True),
        ({"default_int64": 5}, True),
        ({"default_tensor": helper.make_tensor("unknown", TensorProto.INT64, [1], [7])}, False),
    ],
)
def test_a_text_that_no_sample_has(tmp_path: Path, more: dict[str, Any], is_apart: bool) -> None:
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["colour"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["red", "blue", "red"],
            values_int64s=[1, 2, 3],
            **more,
        ),
        helper.make_node("Cast", ["code"], ["told"], to=TensorProto.FLOAT),
    ]
    sample = [{"colour": "red"}, {"colour": "blue"}]
    runtime = agrees(bundle_of(tmp_path / "bundle", nodes, COLOURS, sample), [*sample, {"colour": "green"}])
    assert isinstance(runtime, PartedRuntime) is is_apart


def test_a_tree_whose_branches_meet_is_taken_apart_at_once(tmp_path: Path) -> None:
    # As for "one of these categories": every node asks for one and both of its branches lead to the next.
    deep = 60
    nodes = [*range(deep + 2)]
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["age"],
        ["told"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0] * len(nodes),
        nodes_nodeids=nodes,
        nodes_featureids=[0] * len(nodes),
        nodes_modes=["BRANCH_EQ"] * deep + ["LEAF"] * 2,
        nodes_values=[float(at) for at in nodes],
        nodes_truenodeids=[*range(1, deep), deep, 0, 0],
        nodes_falsenodeids=[*range(1, deep), deep + 1, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[deep, deep + 1],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
    )
    rows = [{"age": float(at)} for at in range(70)]
    assert isinstance(agrees(bundle_of(tmp_path / "bundle", [trees], AGES, rows[:3]), rows), PartedRuntime)


@pytest.mark.parametrize(("behind", "is_apart"), [("CumSum", False), ("Identity", True)])
def test_what_follows_trees_must_work_row_by_row(tmp_path: Path, behind: str, is_apart: bool) -> None:
    # A sum over the rows above is another where they come in another order; of one row the sample shows nothing.
    trees = small_forests.stump("age", "scores", at=30.0)
    axis = helper.make_node("Constant", [], ["axis"], value=helper.make_tensor("axis", TensorProto.INT64, [1], [0]))
    nodes = [trees, helper.make_node(behind, ["scores", "axis"] if behind == "CumSum" else ["scores"], ["told"])]
    rows = [{"age": 40.0}, {"age": 20.0}, {"age": 50.0}]
    bundle = bundle_of(tmp_path / "bundle", [axis, *nodes] if behind == "CumSum" else nodes, AGES, rows[:1])
    assert isinstance(agrees(bundle, rows), PartedRuntime) is is_apart


def grown(folder: Path, model: Any, wanted: Any) -> tuple[Bundle, list[dict[str, Any]]]:
    people = held_out_people()[["age", "fnlwgt", "hours-per-week"]].astype("float64").head(3_000)
    model.fit(people.head(1_000), wanted(people.head(1_000)))
    labels = tuple(map(str, getattr(model, "classes_", ())))
    features = tuple(Feature(name, "number") for name in people.columns)
    signature = Signature(features, "classification" if labels else "regression", labels)
    return small_forests.compiled(folder, make_pipeline(model), signature, people), as_rows(people)


def by_hours(people: pd.DataFrame) -> Any:
    return np.where(people["hours-per-week"] > 40, "many", "few")


def by_age(people: pd.DataFrame) -> Any:
    return np.digitize(people["age"], [30, 50]).astype(str)


def of_both(people: pd.DataFrame) -> Any:
    return people["age"] * 1.5 + people["hours-per-week"]


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (RandomForestClassifier(12, max_depth=6, random_state=0), by_hours),
        (RandomForestClassifier(12, max_depth=6, random_state=0), by_age),
        (ExtraTreesClassifier(12, max_depth=6, random_state=0), by_hours),
        (RandomForestRegressor(12, max_depth=6, random_state=0), of_both),
        (ExtraTreesRegressor(12, max_depth=6, random_state=0), of_both),
    ],
)
def test_trees_in_groves_are_the_forest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any, wanted: Any
) -> None:
    bundle, rows = grown(tmp_path / "bundle", model, wanted)
    online = loader.load_onnx(bundle)
    expected = online.predict(online.signature.columns(online.signature.rows(rows)))
    inputs = validation.of_columns(online.signature.columns(online.signature.rows(rows)))
    for most in (10_000, 300, 1):
        monkeypatch.setattr(groves, "MOST_NODES", most)
        algorithm = bulk.loaded(bundle, "onnx", ())
        runtime = algorithm.algorithm.runtime
        assert isinstance(runtime, PartedRuntime)
        np.testing.assert_allclose(runtime.answers(inputs), expected, rtol=1e-6, atol=1e-6)


def test_only_a_sum_of_leaves_is_parted() -> None:
    def planted(kind: str = "TreeEnsembleRegressor", needed: str = "scores", **changes: Any) -> int:
        trees = {
            "nodes_treeids": [0, 0, 0, 1],
            "nodes_nodeids": [0, 1, 2, 0],
            "nodes_featureids": [0, 0, 0, 0],
            "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
            "nodes_values": [1.0, 0.0, 0.0, 0.0],
            "nodes_truenodeids": [1, 0, 0, 0],
            "nodes_falsenodeids": [2, 0, 0, 0],
        }
        name = "class" if kind == "TreeEnsembleClassifier" else "target"
        leaves = {"treeids": [0, 0, 1], "nodeids": [1, 2, 0], "ids": [0, 0, 0], "weights": [0.5, 1.0, 0.5]}
        about = {**trees, **{f"{name}_{one}": its for one, its in leaves.items()}, **changes}
        outputs = ["scores"] if name == "target" else ["labels", "scores"]
        node = helper.make_node(kind, ["matrix"], outputs, domain="ai.onnx.ml", **about)
        return len(groves.planted(node, {needed}))

    two = {"kind": "TreeEnsembleClassifier", "classlabels_strings": ["a", "b"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groves, "MOST_NODES", 3)
        assert planted() == 3
        assert planted(**two) == 6
        assert planted(**two, needed="labels") == 1
        assert planted(**two, class_weights=[0.5, -1.0, 0.5]) == 1
        assert planted(**two, post_transform="LOGISTIC") == 1
        assert planted(base_values=[0.5]) == 1
        assert planted(aggregate_function="MAX") == 1
        assert planted(nodes_treeids=[0, 1, 0, 0]) == 1
        assert planted(target_treeids=[1, 0, 0]) == 1
