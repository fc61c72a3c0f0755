"""A compiled model in parts answers as the whole does also where its sample does not come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import bulk, validation
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
