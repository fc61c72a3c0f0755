"""ONNX models that reach outside of their file, that swell, or that never end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import TensorProto, helper

OPSET = [helper.make_opsetid("", 20)]


def model(nodes: list[Any], initializers: list[Any] = (), *, name: str = "g", **more: Any) -> onnx.ModelProto:  # type: ignore[assignment]
    """A model from x of shape (n, 1) to y, made of `nodes`."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializer=list(initializers))
    return helper.make_model(graph, opset_imports=OPSET, ir_version=9, **more)


SIGNATURE = {
    "features": [{"name": "x", "type": "number", "nullable": False, "categories": []}],
    "task": "regression",
    "labels": [],
}
ROWS = b"x\n0.5\n1.5\n"


def honest() -> bytes:
    """A model that answers twice its input."""
    return bytes(model([_node("Mul", ["x", "two"], ["y"])], [_constant("two", [2.0])]).SerializeToString())


def _node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, **attributes)


def _constant(name: str, values: list[float]) -> Any:
    return helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values)


def _integers(name: str, values: list[int], shape: list[int] | None = None) -> Any:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)] if shape is None else shape, values)


def _outside(name: str, location: str, kind: int = TensorProto.FLOAT, *, says: bool = True) -> Any:
    tensor = TensorProto(name=name, data_type=kind, dims=[1])
    if says:
        tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def reaching_outside(target: str) -> dict[str, bytes]:
    """Case to a model whose data is in another file: `target`, or near it."""
    locations = {
        "in the folder": "weights.bin",
        "above": "../" * 12 + target.lstrip("/"),
        "absolute": target,
        "in memory": "*/_ORT_MEM_ADDR_/*",
        "at a URL": "http://127.0.0.1:9/weights.bin",
    }
    cases = {
        f"an initializer {where}": model([_node("Mul", ["x", "w"], ["y"])], [_outside("w", location)])
        for where, location in locations.items()
    }
    cases["an initializer that does not say so"] = model(
        [_node("Mul", ["x", "w"], ["y"])], [_outside("w", target, says=False)]
    )
    cases |= {name: make(_outside("w", target)) for name, make in _PLACES.items()}
    return {name: one.SerializeToString() for name, one in cases.items()}


def _in_attribute(tensor: Any) -> onnx.ModelProto:
    return model([_node("Constant", [], ["w"], value=tensor), _node("Mul", ["x", "w"], ["y"])])


def _in_subgraph(tensor: Any) -> onnx.ModelProto:
    out = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1])]
    branch = helper.make_graph([_node("Mul", ["x", "w"], ["z"])], "branch", [], out, initializer=[tensor])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return model([_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)], [yes])


def _in_deep_subgraph(tensor: Any) -> onnx.ModelProto:
    outer = _in_subgraph(tensor).graph
    del outer.input[:]
    yes = helper.make_tensor("also", TensorProto.BOOL, [], [True])
    return model([_node("If", ["also"], ["y"], then_branch=outer, else_branch=outer)], [yes])


def _in_function(tensor: Any) -> onnx.ModelProto:
    inner = [_node("Constant", [], ["w"], value=tensor), _node("Mul", ["a", "w"], ["b"])]
    function = helper.make_function("own", "Times", ["a"], ["b"], inner, OPSET)
    call = helper.make_node("Times", ["x"], ["y"], domain="own")
    made = model([call], functions=[function])
    made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def _in_a_functions_default(tensor: Any) -> onnx.ModelProto:
    inner = _node("Constant", [], ["w"])
    inner.attribute.add(name="value", ref_attr_name="weight", type=onnx.AttributeProto.TENSOR)
    nodes = [inner, _node("Mul", ["a", "w"], ["b"])]
    default = helper.make_attribute("weight", tensor)
    function = helper.make_function("own", "Times", ["a"], ["b"], nodes, OPSET, attribute_protos=[default])
    made = model([helper.make_node("Times", ["x"], ["y"], domain="own")], functions=[function])
    made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def _in_sparse(tensor: Any) -> onnx.ModelProto:
    tensor.name = "w"
    sparse = helper.make_sparse_tensor(tensor, _integers("i", [0]), [1])
    made = model([_node("Mul", ["x", "w"], ["y"])])
    made.graph.sparse_initializer.append(sparse)
    return made


def _in_sparse_attribute(tensor: Any) -> onnx.ModelProto:
    sparse = helper.make_sparse_tensor(tensor, _integers("i", [0]), [1])
    return model([_node("Constant", [], ["w"], sparse_value=sparse), _node("Mul", ["x", "w"], ["y"])])


def _in_training(tensor: Any) -> onnx.ModelProto:
    made = onnx.load_from_string(honest())
    info = made.training_info.add()
    info.algorithm.name = "training"
    info.algorithm.initializer.append(tensor)
    return made


_PLACES: dict[str, Callable[[Any], onnx.ModelProto]] = {
    "an attribute": _in_attribute,
    "a subgraph": _in_subgraph,
    "a subgraph of a subgraph": _in_deep_subgraph,
    "a function": _in_function,
    "a function's default": _in_a_functions_default,
    "a sparse initializer": _in_sparse,
    "a sparse attribute": _in_sparse_attribute,
    "a training graph": _in_training,
}

BILLIONS = 3_600_000_000


def swelling() -> dict[str, bytes]:
    """Case to a model of a few hundred bytes that asks for 14 GB."""
    fill = [_node("ConstantOfShape", ["shape"], ["big"]), _node("ReduceSum", ["big"], ["one"], keepdims=0)]
    expand = [_node("Expand", ["w", "shape"], ["big"]), _node("ReduceSum", ["big"], ["one"], keepdims=0)]
    span = [_node("Range", ["from", "to", "by"], ["big"]), _node("ReduceMax", ["big"], ["last"], keepdims=0)]
    tile = [_node("Tile", ["x", "often"], ["big"]), _node("ReduceSum", ["big"], ["one"], keepdims=0)]
    last = [_node("Mul", ["x", "one"], ["y"])]
    shape = _integers("shape", [BILLIONS])
    numbers = [_integers(name, [value], []) for name, value in (("from", 0), ("to", BILLIONS // 2), ("by", 1))]
    cases = {
        "ConstantOfShape": model([*fill, *last], [shape]),
        "Expand": model([*expand, *last], [shape, _constant("w", [1.0])]),
        "Range": model([*span, _node("Cast", ["last"], ["one"], to=TensorProto.FLOAT), *last], numbers),
        "Tile": model([*tile, *last], [_integers("often", [1, BILLIONS])]),
        "ConstantOfShape that is the row's": model(_by_row()),
    }
    return {name: one.SerializeToString() for name, one in cases.items()}


def _by_row() -> list[Any]:
    # Nothing can be folded beforehand: it swells when it answers.
    return [
        _node("Constant", [], ["much"], value_float=float(BILLIONS)),
        _node("Mul", ["x", "much"], ["wide"]),
        _node("Cast", ["wide"], ["wanted"], to=TensorProto.INT64),
        _node("ReduceMax", ["wanted"], ["single"], keepdims=0),
        _node("Constant", [], ["flat"], value_ints=[1]),
        _node("Reshape", ["single", "flat"], ["shape"]),
        _node("ConstantOfShape", ["shape"], ["big"]),
        _node("ReduceSum", ["big"], ["one"], keepdims=0),
        _node("Mul", ["x", "one"], ["y"]),
    ]


def endless() -> dict[str, bytes]:
    """Case to a model that loops for ages: when it is opened, and when it answers."""
    return {
        "a loop over constants": _loop("two").SerializeToString(),
        "a loop over the row": _loop("x").SerializeToString(),
        "a loop in a function": _looping_function().SerializeToString(),
        "doubling constants": _doubling().SerializeToString(),
        "a text of brackets": _deep(),
    }


def _loop(begin: str) -> onnx.ModelProto:
    body = helper.make_graph(
        [_node("Add", ["state", "state"], ["next"]), _node("Identity", ["going"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    given = [
        _integers("turns", [2**63 - 1], []),
        helper.make_tensor("go", TensorProto.BOOL, [], [True]),
        _constant("two", [2.0]),
    ]
    nodes = [_node("Loop", ["turns", "go", begin], ["end"], body=body), _node("Mul", ["x", "end"], ["y"])]
    return model(nodes, given)


def _looping_function() -> onnx.ModelProto:
    looped = _loop("x")
    constants = [_node("Constant", [], [one.name], value=one) for one in looped.graph.initializer]
    function = helper.make_function("own", "Turn", ["x"], ["y"], [*constants, *looped.graph.node], OPSET)
    made = model([helper.make_node("Turn", ["x"], ["y"], domain="own")], functions=[function])
    made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def _doubling() -> onnx.ModelProto:
    # Thirty-two doublings of one number, each folded into the model when it is opened.
    nodes = [_node("Concat", [f"c{at}", f"c{at}"], [f"c{at + 1}"], axis=0) for at in range(32)]
    nodes += [_node("ReduceSum", ["c32"], ["one"], keepdims=0), _node("Mul", ["x", "one"], ["y"])]
    return model(nodes, [_constant("c0", [1.0])])


def _deep() -> bytes:
    # Groups within groups, which a parser that calls itself cannot bear.
    return b"\x0b" * 200_000
