"""Graphs: a compiled model taken apart for large batches, where its texts and its trees cost more than they need to.

An encoder of texts is asked once for each different text, not for each row. Trees are asked for rows in the order of
the leaves that they reach in the first ones: neighbours then take the same branches, which the processor foresees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ml_pipeline.apps.ml.scoring import groves

_TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
# As many trees as say in which order rows come.
ORDERING_TREES = 3
# What works row by row, whichever rows stand beside; and what does where it works along a row.
_BY_ROW = frozenset(
    {"Add", "ArrayFeatureExtractor", "Cast", "Constant", "Div", "Exp", "Identity", "Mul", "Neg", "Normalizer"}
    | {"Scaler", "Sigmoid", "Sub", "Sum", "Tanh"}
)
_ALONG_ROWS = frozenset({"Concat", "Softmax"})
_BRANCHES = ("featureids", "values", "modes", "truenodeids", "falsenodeids")


@dataclass(frozen=True, slots=True)
class Encoder:
    """What a model makes of the texts of one of its inputs: the input that takes it instead, and the number of each."""

    name: str
    numbers: dict[str, float]
    otherwise: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """A model in parts: its encoders by input, what makes the trees' matrix, and the trees with what follows.

    Without trees that stand apart, `front` is the rest of the model, and there is no `order` and no `back`.
    """

    encoders: dict[str, Encoder]
    front: bytes
    matrix: str | None
    order: bytes | None
    back: bytes | None


def parted(content: bytes, output: str) -> Parts | None:
    """The parts of the model, whose answer is `output`; None where it has no part that could be taken off."""
    model = onnx.load_from_string(content)
    if not _is_flat(model):
        return None
    encoders, nodes = _without_encoders(model.graph)
    constants = {one.name for one in model.graph.initializer}
    given = [_given(one, encoders.get(one.name)) for one in model.graph.input if one.name not in constants]
    trees = [node for node in nodes if node.op_type in _TREES]
    if len(trees) == 1 and (behind := _behind(model.graph, nodes, trees[0], output)) is not None:
        matrix = trees[0].input[0]
        taken = [helper.make_tensor_value_info(matrix, TensorProto.FLOAT, [None, None])]
        told = [one for one in model.graph.output if one.name == output]
        order = _model(model, [_ordering(trees[0])], taken, [_any("order")])
        needed = {name for node in behind[1:] for name in node.input} | {output}
        back = _model(model, [*groves.planted(trees[0], needed), *behind[1:]], taken, told)
        front = _model(model, _before(nodes, matrix), given, taken)
        return Parts(encoders, front, matrix, order, back)
    if not encoders:
        return None
    return Parts(encoders, _model(model, nodes, given, list(model.graph.output)), None, None, None)


def _is_flat(model: Any) -> bool:
    # What a graph within a node, or a function, takes from outside does not show in the node's inputs.
    has_graphs = any(one.HasField("g") or len(one.graphs) for node in model.graph.node for one in node.attribute)
    return not has_graphs and not model.functions and not model.graph.sparse_initializer


def _without_encoders(graph: Any) -> tuple[dict[str, Encoder], list[Any]]:
    texts = {one.name for one in graph.input if one.type.tensor_type.elem_type == TensorProto.STRING}
    used = [name for node in graph.node for name in node.input]
    encoders, nodes = {}, []
    for node in graph.node:
        encoder = _encoder(node) if node.op_type == "LabelEncoder" and node.input[0] in texts else None
        if encoder is None or used.count(node.input[0]) > 1:
            nodes.append(node)
        else:
            encoders[node.input[0]] = encoder
    return encoders, nodes


def _encoder(node: Any) -> Encoder | None:
    found = {one.name: one for one in node.attribute}
    # It says what a text is that is not known, in place of the defaults below.
    if "default_tensor" in found:
        return None
    texts = [one.decode() for one in found["keys_strings"].strings] if "keys_strings" in found else []
    for kind, otherwise, is_whole in (("int64s", "default_int64", True), ("floats", "default_float", False)):
        values = found.get(f"values_{kind}")
        numbers = [] if values is None else list(values.ints if is_whole else values.floats)
        if texts and len(numbers) == len(texts):
            default = found.get(otherwise)
            missing: float = -1 if is_whole else -0.0
            if default is not None:
                missing = default.i if is_whole else default.f
            # Of a text that comes twice the first is meant, as in a search.
            table = dict(zip(reversed(texts), reversed(numbers), strict=True))
            return Encoder(node.output[0], table, missing, is_whole)
    return None


def _behind(graph: Any, nodes: Sequence[Any], trees: Any, output: str) -> list[Any] | None:
    """The trees and all that follows from them, where that is `output` and needs nothing else."""
    # Of trees in double precision the numbers are elsewhere.
    if "nodes_values" not in _lists(trees):
        return None
    constants = {one.name for one in graph.initializer}
    known, behind = set(trees.output), [trees]
    for node in nodes:
        if node is not trees and known & set(node.input):
            known |= set(node.output)
            behind.append(node)
    needed = {name for node in behind[1:] for name in node.input if name}
    is_tensor = any(one.name == output and one.type.HasField("tensor_type") for one in graph.output)
    # The trees get their rows in another order.
    are_by_row = all(map(_is_by_row, behind[1:]))
    return behind if output in known and needed <= known | constants and is_tensor and are_by_row else None


def _is_by_row(node: Any) -> bool:
    axes = [one.i for one in node.attribute if one.name == "axis"]
    return node.op_type in _BY_ROW or (node.op_type in _ALONG_ROWS and axes in ([1], [-1]))


def _before(nodes: Sequence[Any], matrix: str) -> list[Any]:
    needed, before = {matrix}, []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            before.append(node)
    return before[::-1]


def _ordering(trees: Any) -> Any:
    """The first of the trees, their leaves numbered from left to right: a target each."""
    found = _lists(trees)
    chosen = list(dict.fromkeys(found["nodes_treeids"]))[:ORDERING_TREES]
    kept = np.flatnonzero(np.isin(np.array(found["nodes_treeids"]), chosen)).tolist()
    nodes: dict[str, Any] = {f"nodes_{name}": [found[f"nodes_{name}"][at] for at in kept] for name in _BRANCHES}
    ids = [(found["nodes_treeids"][at], found["nodes_nodeids"][at]) for at in kept]
    sides = dict(zip(ids, zip(*(nodes[f"nodes_{name}"] for name in _BRANCHES[2:]), strict=True), strict=True))
    leaves = [leaf for tree in chosen for leaf in _leaves(sides, next(one for one in ids if one[0] == tree))]
    if missing := found.get("nodes_missing_value_tracks_true"):
        nodes["nodes_missing_value_tracks_true"] = [missing[at] for at in kept]
    return helper.make_node(
        "TreeEnsembleRegressor",
        list(trees.input),
        ["order"],
        domain=trees.domain,
        n_targets=len(chosen),
        nodes_treeids=[tree for tree, _ in ids],
        nodes_nodeids=[node for _, node in ids],
        target_treeids=[tree for tree, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_ids=[chosen.index(tree) for tree, _ in leaves],
        target_weights=[float(at) for at in range(len(leaves))],
        **nodes,
    )


def _leaves(sides: dict[Any, Any], root: Any) -> Iterable[Any]:
    waiting, known = [root], set()
    while waiting:
        one = waiting.pop()
        # Several branches may lead to one node, as where a tree asks for one of many categories.
        if one in known:
            continue
        known.add(one)
        mode, true, false = sides[one]
        if mode == b"LEAF":
            yield one
        else:
            waiting += [(one[0], false), (one[0], true)]


def _given(one: Any, encoder: Encoder | None) -> Any:
    if encoder is None:
        return one
    given = onnx.ValueInfoProto()
    given.CopyFrom(one)
    given.name = encoder.name
    given.type.tensor_type.elem_type = TensorProto.INT64 if encoder.is_whole else TensorProto.FLOAT
    return given


def _any(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None])


def _model(whole: Any, nodes: Sequence[Any], given: Sequence[Any], told: Sequence[Any]) -> bytes:
    used = {name for node in nodes for name in node.input}
    constants = [one for one in whole.graph.initializer if one.name in used]
    graph = helper.make_graph(list(nodes), "part", list(given), list(told), initializer=constants)
    made = helper.make_model(graph, opset_imports=list(whole.opset_import), ir_version=whole.ir_version)
    return bytes(made.SerializeToString())


def _lists(node: Any) -> dict[str, Any]:
    # As they are in the model: as Python's own they would take ten times the memory.
    return {one.name: one.ints or one.floats or one.strings for one in node.attribute}
