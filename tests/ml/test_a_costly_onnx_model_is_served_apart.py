"""An ONNX model that takes much memory or time, or that mixes rows, has no place among others in a serving process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from small_graphs import FLOAT, examined, graph, node, numbers, tensor

from ml_pipeline.apps.ml.signature import Feature
from ml_pipeline.errors import InvalidArtifact

SIGNATURE = numbers(Feature("x", "number"))
SAMPLE = "x\n" + "".join(f"{at}.5\n" for at in range(100))
IN, OUT = [tensor("x", FLOAT, None, 1)], [tensor("y", FLOAT, None, 1)]

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell of a peak")


def squares(count: int) -> bytes:
    """x plus 0 times the largest of `count` matrices of rows times rows, all of them there at once."""
    nodes = [node("Transpose", ["x"], ["across"], perm=[1, 0])]
    for at in range(count):
        nodes += [node("Mul", ["x", f"c{at}"], [f"s{at}"]), node("MatMul", [f"s{at}", "across"], [f"m{at}"])]
    nodes += [node("Max", [f"m{at}" for at in range(count)], ["largest"])]
    nodes += [node("ReduceMax", ["largest"], ["most"], keepdims=0), node("Mul", ["most", "zero"], ["nothing"])]
    nodes += [node("Add", ["x", "nothing"], ["y"])]
    constants = {f"c{at}": np.float32(at) for at in range(count)}
    return graph(nodes, IN, OUT, zero=np.float32(0), **constants)


def folded(side: int) -> bytes:
    """x plus the largest cell of a matrix that is computed once, when the model is loaded."""
    nodes = [node("Mul", ["column", "row"], ["table"]), node("ReduceMax", ["table"], ["most"], keepdims=0)]
    nodes += [node("Add", ["x", "most"], ["y"])]
    return graph(nodes, IN, OUT, column=np.zeros((side, 1), np.float32), row=np.zeros((1, side), np.float32))


@needs_linux
def test_memory_that_grows_with_the_square_of_the_rows_is_seen_and_kept_apart(tmp_path: Path) -> None:
    bundle, record = examined(tmp_path, squares(80), SIGNATURE, SAMPLE)
    assert (record.runtime, record.is_isolated, bundle.manifest["is_isolated"]) == ("onnx", True, True)
    assert "in a process of its own, because" in record.runtime_reason
    assert "MB to load it or to answer 1,000 rows" in record.runtime_reason
    # With the process that it needs.
    assert record.memory_bytes > 35_000_000


@needs_linux
def test_memory_that_only_loading_takes_is_seen_and_kept_apart(tmp_path: Path) -> None:
    _, record = examined(tmp_path, folded(12_000), SIGNATURE, SAMPLE)
    assert (record.runtime, record.is_isolated) == ("onnx", True)
    assert "MB to load it" in record.runtime_reason


def test_a_row_that_takes_long_is_kept_apart(tmp_path: Path) -> None:
    # 200 times the same large product for each call, however few its rows.
    nodes = [node("Mul", ["big", "x0"], ["m0"])]
    nodes += [node("MatMul", [f"m{at}", "big"], [f"m{at + 1}"]) for at in range(40)]
    nodes += [node("ReduceMax", ["m40"], ["most"], keepdims=0), node("Mul", ["most", "zero"], ["nothing"])]
    nodes = [node("ReduceMax", ["x"], ["x0"], keepdims=0), *nodes, node("Add", ["x", "nothing"], ["y"])]
    model = graph(nodes, IN, OUT, big=np.zeros((600, 600), np.float32), zero=np.float32(0))
    _, record = examined(tmp_path, model, SIGNATURE, SAMPLE)
    assert record.is_isolated
    assert "one row takes it" in record.runtime_reason


def test_a_small_model_stays_in_the_serving_process(tmp_path: Path) -> None:
    bundle, record = examined(tmp_path, squares(2), SIGNATURE, SAMPLE)
    assert (record.is_isolated, bundle.manifest["is_isolated"]) == (False, False)
    assert record.runtime_reason == "it came as ONNX"


def test_a_regression_that_depends_on_the_rows_beside_is_refused(tmp_path: Path) -> None:
    nodes = [node("ReduceMax", ["x"], ["most"], keepdims=0), node("Sub", ["x", "most"], ["y"])]
    with pytest.raises(InvalidArtifact, match="answers a row alone and among others differently"):
        examined(tmp_path, graph(nodes, IN, OUT), SIGNATURE, SAMPLE)


def test_a_difference_in_any_part_of_the_rows_is_found(tmp_path: Path) -> None:
    # Alike for the first half, as for zeros everywhere: rows above 0 count the others.
    nodes = [node("Relu", ["x"], ["above"]), node("ReduceSum", ["above"], ["sum"], keepdims=0)]
    nodes += [node("Mul", ["above", "sum"], ["y"])]
    sample = "x\n" + "-1\n" * 32 + "".join(f"{at}.5\n" for at in range(32))
    with pytest.raises(InvalidArtifact, match="differently"):
        examined(tmp_path, graph(nodes, IN, OUT), SIGNATURE, sample)
