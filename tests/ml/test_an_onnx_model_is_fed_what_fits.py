"""Numbers reach an ONNX model as they came, or are refused: by the type, the width and the batch that it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from small_graphs import FLOAT, INT64, examined, graph, node, numbers, tensor

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime, OutputChoice
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidArtifact, InvalidInput

INTEGER = numbers(Feature("x", "integer"))
NARROW = {
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-32_768, 32_767),
    TensorProto.UINT16: (0, 65_535),
    TensorProto.INT32: (-(2**31), 2**31 - 1),
    TensorProto.UINT32: (0, 2**32 - 1),
    TensorProto.UINT64: (0, 2**53),
    TensorProto.INT64: (-(2**53), 2**53),
    TensorProto.BOOL: (0, 1),
}


def as_double(kind: int) -> bytes:
    """A model that answers its one input as it is."""
    cast = node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)
    return graph([cast], [tensor("x", kind, None, 1)], [tensor("y", TensorProto.DOUBLE, None, 1)])


def values(algorithm: Algorithm, rows: list[dict[str, Any]]) -> list[Any]:
    return [one.value for one in algorithm.compute_prediction(rows)]


@pytest.mark.parametrize("kind", NARROW)
def test_integers_arrive_up_to_the_limits_of_their_type(kind: int) -> None:
    runtime = OnnxRuntime(as_double(kind), INTEGER)
    signature = Signature.from_json(runtime.bounded().to_json())
    least, most = NARROW[kind]
    rows = signature.rows([{"x": least}, {"x": most}])
    assert values(Algorithm(signature, runtime), rows) == [least, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(InvalidInput, match=r"row 0, field 'x': expected an integer (from|between)"):
            signature.rows([{"x": beyond}])


def test_a_small_float_does_not_become_infinite() -> None:
    signature = numbers(Feature("x", "number", nullable=True))
    half = [node("Cast", ["x"], ["z"], to=FLOAT), node("IsNaN", ["z"], ["gone"])]
    half += [node("Where", ["gone", "zero", "z"], ["y"])]
    model = graph(half, [tensor("x", TensorProto.FLOAT16, None, 1)], [tensor("y", FLOAT, None, 1)], zero=np.float32(0))
    runtime = OnnxRuntime(model, signature)
    rows = runtime.bounded().rows([{"x": 65_504.0}, {"x": None}])
    assert values(Algorithm(signature, runtime), rows) == [65_504.0, 0.0]
    with pytest.raises(InvalidInput, match="expected a number from -65504 to 65504, got 70000"):
        runtime.bounded().rows([{"x": 70_000.0}])


@pytest.mark.parametrize(
    ("feature", "kind", "said"),
    [
        (Feature("x", "integer", nullable=True), INT64, "'x' may be missing.*\"nullable\": false"),
        (Feature("x", "boolean", nullable=True), TensorProto.BOOL, '"type": "boolean"'),
        (Feature("x", "number"), INT64, 'may have a fraction.*"type": "integer"'),
    ],
)
def test_what_an_input_cannot_hold_is_refused(tmp_path: Path, feature: Feature, kind: int, said: str) -> None:
    with pytest.raises(InvalidArtifact, match=said):
        examined(tmp_path, as_double(kind), numbers(feature), "x\n1\n0\n")


WIDTHS = numbers(Feature("city", "string"), Feature("kind", "string"), Feature("a", "number"), Feature("b", "number"))


def two_matrices() -> bytes:
    """1 where the city is Oslo, plus a - b."""
    nodes = [
        node("Equal", ["texts", "oslo"], ["are_oslo"]),
        node("Cast", ["are_oslo"], ["ones"], to=FLOAT),
        node("Gather", ["ones", "first"], ["one"], axis=1),
        node("MatMul", ["numbers", "weights"], ["difference"]),
        node("Add", ["one", "difference"], ["y"]),
    ]
    inputs = [tensor("texts", TensorProto.STRING, None, 2), tensor("numbers", FLOAT, None, 2)]
    constants = {"first": [0], "weights": np.array([[1], [-1]], np.float32), "oslo": np.array(["Oslo"], dtype=object)}
    return graph(nodes, inputs, [tensor("y", FLOAT, None, 1)], **constants)


def test_inputs_of_several_columns_take_the_features_in_order() -> None:
    algorithm = Algorithm(WIDTHS, OnnxRuntime(two_matrices(), WIDTHS))
    rows = [{"city": "Oslo", "kind": "x", "a": 3.0, "b": 1.0}, {"city": "Lima", "kind": "Oslo", "a": 1.0, "b": 5.0}]
    assert values(algorithm, rows) == [3.0, -4.0]


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (numbers(*WIDTHS.features[:3]), r"its signature 3 features: the inputs take 4 columns \(texts of 2, numbers"),
        (numbers(*WIDTHS.features[1:], WIDTHS.features[0]), "texts is tensor.string., the signature has 'a', a number"),
    ],
)
def test_inputs_that_the_features_do_not_fill_are_refused(signature: Signature, said: str) -> None:
    with pytest.raises(InvalidArtifact, match=said):
        OnnxRuntime(two_matrices(), signature)


def test_a_model_of_more_dimensions_than_a_table_is_refused() -> None:
    model = graph([node("Identity", ["x"], ["y"])], [tensor("x", FLOAT, None, 3, 4)], [tensor("y", FLOAT, None, 3, 4)])
    with pytest.raises(InvalidArtifact, match="3 dimensions; rows and columns are two"):
        OnnxRuntime(model, INTEGER)


def doubled(batch: int | None) -> bytes:
    inputs, outputs = [tensor("x", FLOAT, batch, 1)], [tensor("y", FLOAT, batch, 1)]
    return graph([node("Add", ["x", "x"], ["y"])], inputs, outputs)


def test_a_model_exported_for_one_row_answers_row_by_row(tmp_path: Path) -> None:
    signature = numbers(Feature("x", "number"))
    rows = [{"x": float(at)} for at in range(7)]
    algorithm = Algorithm(signature, OnnxRuntime(doubled(1), signature))
    assert values(algorithm, rows) == [2.0 * at for at in range(7)]
    _, record = examined(tmp_path, doubled(1), signature, "x\n1\n2\n3\n")
    assert record.runtime == "onnx"


def test_a_model_exported_for_several_rows_is_told_to_take_any_number() -> None:
    with pytest.raises(InvalidArtifact, match=r"takes exactly 4 rows at once\. Export it with a dynamic batch axis"):
        OnnxRuntime(doubled(4), numbers(Feature("x", "number")))


def test_a_model_that_hides_its_fixed_batch_is_told_the_same(tmp_path: Path) -> None:
    reshape = node("Reshape", ["x", "shape"], ["y"])
    model = graph([reshape], [tensor("x", FLOAT, None, 1)], [tensor("y", FLOAT, 1, 1)], shape=[1, 1])
    with pytest.raises(InvalidArtifact, match=r"Reshape.*Alone it answers a row: export it with a dynamic batch axis"):
        examined(tmp_path, model, numbers(Feature("x", "number")), "x\n1\n2\n3\n")


def test_a_call_is_of_a_thousand_rows_at_most() -> None:
    # Each row is answered with how many came with it.
    nodes = [node("Shape", ["x"], ["shape"], end=1), node("Cast", ["shape"], ["rows"], to=FLOAT)]
    nodes += [node("Mul", ["x", "zero"], ["zeros"]), node("Add", ["zeros", "rows"], ["y"])]
    model = graph(nodes, [tensor("x", FLOAT, None, 1)], [tensor("y", FLOAT, None, 1)], zero=np.float32(0))
    signature = numbers(Feature("x", "number"))
    found = values(Algorithm(signature, OnnxRuntime(model, signature)), [{"x": 0.0}] * 2_500)
    assert found == [1_000.0] * 2_000 + [500.0] * 500


def test_values_may_be_whole_numbers() -> None:
    cast = node("Cast", ["x"], ["y"], to=INT64)
    model = graph([cast], [tensor("x", FLOAT, None, 1)], [tensor("y", INT64, None, 1)])
    signature = numbers(Feature("x", "number"))
    assert values(Algorithm(signature, OnnxRuntime(model, signature)), [{"x": 3.0}]) == [3.0]


def test_a_classifier_of_labels_alone_is_told_to_give_probabilities() -> None:
    cast = node("Cast", ["x"], ["label"], to=INT64)
    model = graph([cast], [tensor("x", FLOAT, None, 1)], [tensor("label", INT64, None, 1)])
    signature = Signature((Feature("x", "number"),), "classification", ("no", "yes"))
    with pytest.raises(InvalidArtifact, match=r"no output of probabilities; it has label.*not the label alone"):
        OnnxRuntime(model, signature)
    with pytest.raises(InvalidArtifact, match="called 'label'"):
        OnnxRuntime(model, signature, OutputChoice("label"))
