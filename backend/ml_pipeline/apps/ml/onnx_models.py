"""ONNX models as data: what makes one unfit for a serving process, found without running it.

Only the model's own text is looked at; whether ONNX Runtime can run it is for `runtimes.onnx` to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from ml_pipeline.errors import InvalidArtifact

# Operators whose time or memory depends on the values of a row rather than on its size: they may loop or swell at any
# later row, so they run in a process that can be ended.
UNBOUNDED_OPERATORS = frozenset(
    {
        "AffineGrid",
        "BlackmanWindow",
        "Col2Im",
        "DFT",
        "ConstantOfShape",
        "CenterCropPad",
        "Expand",
        "EyeLike",
        "HammingWindow",
        "HannWindow",
        "Loop",
        "MaxUnpool",
        "MelWeightMatrix",
        "OneHot",
        "Pad",
        "RandomNormal",
        "RandomUniform",
        "Range",
        "Resize",
        "Scan",
        "STFT",
        "SequenceMap",
        "Tile",
        "Upsample",
    }
)

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def parsed(content: bytes) -> onnx.ModelProto:
    """The model in `content`. Raises InvalidArtifact for what is none, or is not complete in itself."""
    try:
        model = onnx.load_from_string(content)
    # Which exception the parser has depends on the protobuf that is installed.
    except Exception as error:
        raise InvalidArtifact(f"The file is not an ONNX model: {str(error)[:200]}") from error
    if not model.graph.node or not model.graph.output:
        raise InvalidArtifact("The file is not an ONNX model: it has no graph that answers.")
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InvalidArtifact(
                f"The model keeps data outside its file (tensor {tensor.name[:60]!r}). Save it with the weights inside."
            )
    return model


def unbounded_operators(model: onnx.ModelProto) -> list[str]:
    """The operators of `model` that keep it out of a serving process; [] for most models."""
    found = {node.op_type for node in nodes(model) if node.op_type in UNBOUNDED_OPERATORS}
    # Of operators beyond the standard nobody has looked at what bounds them.
    return sorted(found | {f"{node.domain}.{node.op_type}" for node in nodes(model) if node.domain not in DOMAINS})


def refuse_malformed_trees(model: onnx.ModelProto) -> None:
    """Raises InvalidArtifact unless every tree of `model` is a tree: from its root each node is reached once.

    A branch into nowhere or back up would read foreign memory or never end.
    """
    for node in nodes(model):
        if node.op_type in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
            _check_trees({one.name: list(one.ints or one.strings) for one in node.attribute})
        elif node.op_type == "TreeEnsemble":
            _check_flat_trees({one.name: list(one.ints) for one in node.attribute})


def nodes(model: onnx.ModelProto) -> Iterator[Any]:
    """Every node of `model`: of its graph, the graphs in its nodes, and its functions."""
    waiting = [model.graph, *model.functions]
    while waiting:
        for node in waiting.pop().node:
            yield node
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += list(attribute.graphs)


def tensors(model: onnx.ModelProto) -> Iterator[Any]:
    """Every constant tensor of `model`, wherever it stands; of a sparse one both its parts."""
    graphs = [model.graph]
    for node in nodes(model):
        for attribute in node.attribute:
            yield from _of_attribute(attribute)
            graphs += [attribute.g] if attribute.HasField("g") else []
            graphs += list(attribute.graphs)
    for function in model.functions:
        for attribute in function.attribute_proto:
            yield from _of_attribute(attribute)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def _of_attribute(attribute: Any) -> Iterator[Any]:
    yield from [attribute.t] if attribute.HasField("t") else []
    yield from attribute.tensors
    for sparse in [
        *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
        *attribute.sparse_tensors,
    ]:
        yield from (sparse.values, sparse.indices)


def _check_trees(found: dict[str, list[Any]]) -> None:
    ids = list(zip(found.get("nodes_treeids", []), found.get("nodes_nodeids", []), strict=False))
    branches = {
        own: () if mode == b"LEAF" else ((own[0], yes), (own[0], no))
        for own, mode, yes, no in zip(
            ids,
            found.get("nodes_modes", []),
            found.get("nodes_truenodeids", []),
            found.get("nodes_falsenodeids", []),
            strict=False,
        )
    }
    if len(branches) != len(ids):
        raise InvalidArtifact("A tree of the model names a node twice, or leaves out what belongs to it.")
    targets = [target for pair in branches.values() for target in pair]
    _check_reached(branches, set(branches) - set(targets), targets)


def _check_flat_trees(found: dict[str, list[int]]) -> None:
    size = len(found.get("nodes_featureids", []))
    sides = [(found.get(f"nodes_{side}leafs", []), found.get(f"nodes_{side}nodeids", [])) for side in ("true", "false")]
    if any(len(column) != size for side in sides for column in side):
        raise InvalidArtifact("A tree of the model leaves out what belongs to a node.")
    branches: dict[Any, tuple[Any, ...]] = {("leaf", at): () for at in range(len(found.get("leaf_targetids", [])))}
    for at in range(size):
        branches["node", at] = tuple(("leaf" if leaves[at] else "node", ids[at]) for leaves, ids in sides)
    targets = [target for pair in branches.values() for target in pair]
    _check_reached(branches, {("node", root) for root in found.get("tree_roots", [])}, targets)


def _check_reached(branches: dict[Any, tuple[Any, ...]], roots: set[Any], targets: list[Any]) -> None:
    # Several branches may share a leaf, which ends the walk; a node with branches has one way in.
    inner = [target for target in targets if branches.get(target)]
    if len(set(inner)) != len(inner) or not set(targets) <= set(branches):
        raise InvalidArtifact("A tree of the model has a branch that leads nowhere, or two that lead to one node.")
    # A root that something leads to is no root: the walk from it would come back.
    if not roots <= set(branches) or roots & set(targets):
        raise InvalidArtifact("A tree of the model has no root of its own.")
    reached, waiting = set(), list(roots)
    while waiting:
        one = waiting.pop()
        reached.add(one)
        waiting += branches.get(one, ())
    # With one way in at most, whatever is not reached from a root goes round in a circle.
    if not {one for one, ways in branches.items() if ways} <= reached:
        raise InvalidArtifact("A tree of the model goes round in a circle.")
