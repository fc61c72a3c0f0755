"""The content of an ONNX model is what it computes: not its notes, its makers, or how its numbers are stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from small_models import small_frame, small_tree

from ml_pipeline.apps.ml import identity
from ml_pipeline.errors import InvalidArtifact


def model() -> ModelProto:
    """y = x W + b, then one of two branches; and strings, an attribute that is a tensor, and a function."""
    weights = numpy_helper.from_array(np.array([[1.5, -2.0], [0.25, 3.0]], dtype=np.float32), "W")
    bias = numpy_helper.from_array(np.array([0.5, 0.0], dtype=np.float32), "b")
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"one", b"\xff"])
    branches = [
        helper.make_graph(
            [helper.make_node("Constant", [], ["c"], name="inner", value=numpy_helper.from_array(np.array([one])))],
            f"branch {one}",
            [],
            [helper.make_tensor_value_info("c", TensorProto.INT64, [1])],
        )
        for one in (1, 2)
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "W", "b"], ["y"], name="product", alpha=1.0, beta=1.0, transB=0),
        helper.make_node("If", ["which"], ["chosen"], name="if", then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Twice", ["y"], ["z"], name="twice", domain="own"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2]),
            helper.make_tensor_value_info("which", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 2])],
        [weights, bias, words],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    twice = helper.make_function(
        "own", "Twice", ["a"], ["t"], [helper.make_node("Add", ["a", "a"], ["t"])], [helper.make_opsetid("", 21)]
    )
    return helper.make_model(graph, opset_imports=opsets, functions=[twice], producer_name="someone")


def digest(changed: Callable[[ModelProto], object] = lambda one: None) -> str:
    one = model()
    changed(one)
    return identity.of_onnx(one.SerializeToString())


def typed(one: ModelProto) -> None:
    tensor = one.graph.initializer[0]
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, values.shape, values.ravel().tolist()))
    assert not tensor.raw_data


def reversed_field(one: ModelProto, name: str) -> None:
    field = getattr(one.graph, name) if name != "opset_import" else one.opset_import
    items = [type(item).FromString(item.SerializeToString()) for item in field][::-1]
    del field[:]
    field.extend(items)


def reversed_attributes(one: ModelProto) -> None:
    node = one.graph.node[0]
    attributes = [type(item).FromString(item.SerializeToString()) for item in node.attribute][::-1]
    del node.attribute[:]
    node.attribute.extend(attributes)


SAME: dict[str, Callable[[ModelProto], object]] = {
    "producer": lambda one: setattr(one, "producer_name", "another"),
    "producer's version": lambda one: setattr(one, "producer_version", "2"),
    "model version": lambda one: setattr(one, "model_version", 7),
    "a note": lambda one: setattr(one, "doc_string", "made on Monday"),
    "a note in a node": lambda one: setattr(one.graph.node[0], "doc_string", "product"),
    "a note in a tensor": lambda one: setattr(one.graph.initializer[0], "doc_string", "weights"),
    "a note in a function": lambda one: setattr(one.functions[0], "doc_string", "twice"),
    "metadata": lambda one: one.metadata_props.add(key="date", value="2020-01-01"),
    "metadata of the graph": lambda one: one.graph.metadata_props.add(key="date", value="2020-01-01"),
    "a node's name": lambda one: setattr(one.graph.node[0], "name", "other"),
    "an inner node's name": lambda one: setattr(one.graph.node[1].attribute[0].g.node[0], "name", "other"),
    "the graph's name": lambda one: setattr(one.graph, "name", "other"),
    "a constant's name": lambda one: setattr(one.graph.node[1].attribute[0].g.node[0].attribute[0].t, "name", "k"),
    "numbers one by one": typed,
    "order of initializers": lambda one: reversed_field(one, "initializer"),
    "order of opsets": lambda one: reversed_field(one, "opset_import"),
    "order of attributes": reversed_attributes,
    "the default domain in full": lambda one: setattr(one.opset_import[0], "domain", "ai.onnx"),
}
OTHER: dict[str, Callable[[ModelProto], object]] = {
    "a weight": lambda one: one.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array([[1.5, -2.0], [0.25, 3.5]], dtype=np.float32), "W")
    ),
    "its type": lambda one: one.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array([[1.5, -2.0], [0.25, 3.0]]), "W")
    ),
    "its shape": lambda one: one.graph.initializer[0].dims.__setitem__(slice(None), [1, 4]),
    "a name of an initializer": lambda one: setattr(one.graph.initializer[0], "name", "V"),
    "a string": lambda one: one.graph.initializer[2].string_data.__setitem__(0, b"two"),
    "an attribute": lambda one: setattr(one.graph.node[0].attribute[0], "f", 2.0),
    "an operator": lambda one: setattr(one.graph.node[0], "op_type", "Gemm2"),
    "an input": lambda one: one.graph.node[0].input.__setitem__(0, "y"),
    "an input's name": lambda one: setattr(one.graph.input[0], "name", "w"),
    "an input's shape": lambda one: setattr(one.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 3),
    "an output's name": lambda one: setattr(one.graph.output[0], "name", "w"),
    "order of nodes": lambda one: reversed_field(one, "node"),
    "order of inputs": lambda one: reversed_field(one, "input"),
    "opset": lambda one: setattr(one.opset_import[0], "version", 20),
    "a constant in a branch": lambda one: (
        one.graph.node[1].attribute[0].g.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([3])))
    ),
    "a function's body": lambda one: setattr(one.functions[0].node[0], "op_type", "Mul"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_only_people_read_does_not_count(what: str) -> None:
    changed = model()
    SAME[what](changed)
    assert changed.SerializeToString() != model().SerializeToString()
    assert digest(SAME[what]) == digest()


def test_what_it_computes_counts() -> None:
    digests = {digest(), *(digest(changed) for changed in OTHER.values())}
    assert len(digests) == len(OTHER) + 1


def test_two_exports_of_one_tree_are_one_content() -> None:
    frame = small_frame()
    one, other, third = (
        to_onnx(small_tree(frame, seed), frame.to_numpy(np.float32)[:1], name=name).SerializeToString()
        for seed, name in ((0, "first"), (0, "second"), (0, "first"))
    )
    assert one != other
    assert identity.of_onnx(one) == identity.of_onnx(other) == identity.of_onnx(third)
    moved = ModelProto.FromString(one)
    attribute = next(one for one in moved.graph.node[0].attribute if one.name == "nodes_values")
    attribute.floats[0] = np.nextafter(np.float32(attribute.floats[0]), np.float32(9))
    assert identity.of_onnx(moved.SerializeToString()) != identity.of_onnx(one)


def external(one: ModelProto) -> None:
    tensor = one.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/hostname")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no ONNX model"),
        (b"no model", "no ONNX model"),
        (model().SerializeToString()[:-7], "no ONNX model"),
        (external, "another file"),
        (lambda one: setattr(one.graph.initializer[0], "raw_data", b"123"), "'W' cannot be read"),
        (lambda one: setattr(one.graph.initializer[0], "data_type", 0), "'W' cannot be read"),
        (lambda one: setattr(one.graph.initializer[0], "data_type", 99), "'W' cannot be read"),
    ],
)
def test_what_is_no_whole_model_is_refused(content: bytes | Callable[[ModelProto], object], said: str) -> None:
    with pytest.raises(InvalidArtifact, match=said):
        identity.of_onnx(content) if isinstance(content, bytes) else digest(content)
