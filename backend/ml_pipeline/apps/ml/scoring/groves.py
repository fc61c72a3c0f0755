"""Groves: the trees of a model as several nodes of a few trees each, whose sum they are.

All rows go through one grove before the next: its nodes stay in the processor's caches, where those of a whole forest
come from memory for every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

# Of one grove, unless its only tree has more.
MOST_NODES = 4_096
Span: TypeAlias = tuple[int, int]
_NODES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
)
# Which ways lead on where a number is missing; how often each was taken is of no use.
_MAYBE, _UNUSED = "nodes_missing_value_tracks_true", "nodes_hitrates"
_LEAVES = ("treeids", "nodeids", "weights")
_LABELS = ("classlabels_strings", "classlabels_int64s")


def planted(trees: Any, needed: set[str]) -> list[Any]:
    """Nodes that tell the scores which `trees` tells; itself where it is small, or says more than a sum of its leaves.

    `needed` is what others take from it.
    """
    about = {one.name: one for one in trees.attribute}
    is_classifier = trees.op_type == "TreeEnsembleClassifier"
    kind = "class" if is_classifier else "target"
    scores, targets = (
        _targets(trees, about, needed) if is_classifier else (trees.output[0], _number(about, "n_targets"))
    )
    if targets is None or not _is_a_sum(about, kind) or len(about["nodes_treeids"].ints) <= MOST_NODES:
        return [trees]
    nodes, leaves = _spans(about["nodes_treeids"].ints), _spans(about[f"{kind}_treeids"].ints)
    if nodes is None or leaves is None or list(nodes) != list(leaves):
        return [trees]
    total = f"{scores} of one" if is_classifier and targets == 1 else scores
    made, names = [], []
    for begin, end in _groves(list(nodes.values())):
        names.append(f"{scores} from {begin}")
        its = [list(one.values())[begin:end] for one in (nodes, leaves)]
        grove = _grove(about, kind, [(one[0][0], one[-1][1]) for one in its], targets)
        made.append(helper.make_node("TreeEnsembleRegressor", list(trees.input), names[-1:], domain=trees.domain))
        made[-1].attribute.extend(grove)
    made.append(helper.make_node("Sum", names, [total]))
    return made if total == scores else [*made, *_both(scores, total)]


def _targets(trees: Any, about: dict[str, Any], needed: set[str]) -> tuple[str, int | None]:
    """The output with the scores, and how many a row has in the sum; None where labels are asked for as well."""
    labels = max(len(about[name].strings) + len(about[name].ints) for name in _LABELS if name in about)
    ids = set(about["class_ids"].ints)
    if trees.output[0] in needed:
        return trees.output[1], None
    if labels == 2 and len(ids) == 1:
        # Of two classes one has leaves: the other's score is what is left of 1, where all weights are positive.
        return trees.output[1], 1 if min(about["class_weights"].floats) >= 0 else None
    return trees.output[1], labels


def _number(about: dict[str, Any], name: str) -> int:
    return int(about[name].i) if name in about else 1


def _is_a_sum(about: dict[str, Any], kind: str) -> bool:
    known = {*_NODES, _MAYBE, _UNUSED, *_LABELS, "n_targets", f"{kind}_ids", *(f"{kind}_{name}" for name in _LEAVES)}
    others = {name: about[name].s for name in about if name not in known}
    harmless = {"post_transform": b"NONE", "aggregate_function": b"SUM"}
    return all(harmless.get(name) == value for name, value in others.items())


def _spans(ids: Sequence[int]) -> dict[int, Span] | None:
    """Where each tree begins and ends; None where one is in several places."""
    array = np.array(ids, dtype=np.int64)
    edges = [0, *(np.flatnonzero(np.diff(array)) + 1).tolist(), len(array)]
    found = {int(array[begin]): (begin, end) for begin, end in pairwise(edges)}
    return found if len(found) == len(edges) - 1 else None


def _groves(spans: Sequence[Span]) -> Iterator[Span]:
    """Trees that are together: from which, and up to which."""
    begin = 0
    for at in range(1, len(spans) + 1):
        if at == len(spans) or spans[at][1] - spans[begin][0] > MOST_NODES:
            yield begin, at
            begin = at


def _grove(about: dict[str, Any], kind: str, spans: Sequence[Span], targets: int) -> list[Any]:
    """What a node of the trees within `spans` says, of their nodes and of their leaves."""
    kept = [(one, one, spans[0]) for one in (*_NODES, _MAYBE) if one in about]
    kept += [(f"{kind}_{one}", f"target_{one}", spans[1]) for one in _LEAVES]
    parts = [_part(about[source], target, *span) for source, target, span in kept]
    begin, end = spans[1]
    # The only class that has leaves may be called 1 as well as 0.
    ids = [0] * (end - begin) if targets == 1 else about[f"{kind}_ids"].ints[begin:end]
    return [*parts, helper.make_attribute("target_ids", ids), helper.make_attribute("n_targets", targets)]


def _part(whole: Any, name: str, begin: int, end: int) -> Any:
    # Field by field: the helper looks at every number.
    part = onnx.AttributeProto(name=name, type=whole.type)
    for field in ("ints", "floats", "strings"):
        getattr(part, field).extend(getattr(whole, field)[begin:end])
    return part


def _both(scores: str, one: str) -> list[Any]:
    whole = helper.make_tensor("whole", TensorProto.FLOAT, [1], [1.0])
    return [
        helper.make_node("Constant", [], [f"{scores} in all"], value=whole),
        helper.make_node("Sub", [f"{scores} in all", one], [f"{scores} of other"]),
        helper.make_node("Concat", [f"{scores} of other", one], [scores], axis=1),
    ]
