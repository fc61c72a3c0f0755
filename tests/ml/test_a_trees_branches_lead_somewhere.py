"""Trees of an ONNX model are trees before ONNX Runtime sees them: it follows a branch wherever it leads."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from ml_pipeline.apps.ml import onnx_models
from ml_pipeline.errors import InvalidArtifact


def model(node: Any, domain: str = "ai.onnx.ml", version: int = 5) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph([node], "trees", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, version)])


def old(ids: list[int], modes: list[str], yes: list[int], no: list[int]) -> onnx.ModelProto:
    """One tree in the encoding that converters write."""
    return model(
        helper.make_node(
            "TreeEnsembleRegressor",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            nodes_treeids=[0] * len(ids),
            nodes_nodeids=ids,
            nodes_modes=modes,
            nodes_truenodeids=yes,
            nodes_falsenodeids=no,
        )
    )


def new(roots: list[int], yes: list[tuple[int, int]], no: list[tuple[int, int]], leaves: int) -> onnx.ModelProto:
    """Trees in the newer encoding; a branch is (is leaf, number)."""
    return model(
        helper.make_node(
            "TreeEnsemble",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            tree_roots=roots,
            nodes_featureids=[0] * len(yes),
            nodes_trueleafs=[leaf for leaf, _ in yes],
            nodes_truenodeids=[at for _, at in yes],
            nodes_falseleafs=[leaf for leaf, _ in no],
            nodes_falsenodeids=[at for _, at in no],
            leaf_targetids=[0] * leaves,
        )
    )


GOOD = {
    "old": old([0, 1, 2], ["BRANCH_LEQ", "LEAF", "LEAF"], [1, 0, 0], [2, 0, 0]),
    "new": new([0], [(0, 1), (1, 0)], [(1, 2), (1, 1)], leaves=3),
    "new, a leaf shared": new([0], [(1, 0)], [(1, 0)], leaves=1),
}
BAD = {
    "old, back to the root": old([0, 1], ["BRANCH_LEQ", "LEAF"], [0, 0], [1, 0]),
    "old, nowhere": old([0, 1], ["BRANCH_LEQ", "LEAF"], [7, 0], [1, 0]),
    "old, a node twice": old([0, 0], ["LEAF", "LEAF"], [0, 0], [0, 0]),
    "old, a circle beside the tree": old(
        [0, 1, 2, 3], ["LEAF", "BRANCH_LEQ", "BRANCH_LEQ", "LEAF"], [0, 2, 1, 0], [0, 3, 3, 0]
    ),
    "old, modes left out": old([0, 1], ["LEAF"], [0, 0], [0, 0]),
    "new, a root in a circle": new([0], [(0, 1), (0, 0)], [(1, 0), (1, 0)], leaves=1),
    "new, two ways to a node": new([0], [(0, 1), (1, 0)], [(0, 1), (1, 0)], leaves=1),
    "new, a root that is not there": new([9], [(1, 0)], [(1, 0)], leaves=1),
    "new, a leaf that is not there": new([0], [(1, 5)], [(1, 0)], leaves=1),
}


@pytest.mark.parametrize("one", GOOD.values(), ids=GOOD)
def test_a_tree_passes(one: onnx.ModelProto) -> None:
    onnx_models.refuse_malformed_trees(one)


@pytest.mark.parametrize("one", BAD.values(), ids=BAD)
def test_what_is_no_tree_is_refused(one: onnx.ModelProto) -> None:
    with pytest.raises(InvalidArtifact, match="tree"):
        onnx_models.refuse_malformed_trees(one)


def test_branches_left_out_are_refused() -> None:
    one = new([0], [(1, 0)], [(1, 0)], leaves=1)
    kept = [attribute for attribute in one.graph.node[0].attribute if attribute.name != "nodes_falseleafs"]
    del one.graph.node[0].attribute[:]
    one.graph.node[0].attribute.extend(kept)
    with pytest.raises(InvalidArtifact, match="leaves out"):
        onnx_models.refuse_malformed_trees(one)


def test_a_converted_forest_passes() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    forest = RandomForestClassifier(10, random_state=0).fit(rows, rows.sum(axis=1) > 0)
    onnx_models.refuse_malformed_trees(to_onnx(forest, rows[:1]))
