"""An algorithm that raises, or returns what is no prediction, gives AlgorithmFailed and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strange_models import StrangeClassifier

from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import AlgorithmFailed

X = (Feature("x", "number", nullable=True),)
BINARY = Signature(X, "classification", ("no", "yes"))
TRIPLE = Signature(X, "classification", ("red", "green", "blue"))
VALUE = Signature(X, "regression")
ROWS = [{"x": 1.0}, {"x": None}, {"x": 3.0}]


class Fixed:
    """A runtime that returns, or raises, one thing whatever comes in."""

    name = "fixed"
    is_isolated = False

    def __init__(self, output: Any) -> None:
        self.output = output

    def predict(self, columns: Columns) -> Any:
        if isinstance(self.output, BaseException):
            raise self.output
        return self.output

    def close(self) -> None:
        pass


def computed(signature: Signature, output: Any) -> list[Prediction]:
    return Algorithm(signature, Fixed(output)).compute_prediction(ROWS)


GOOD = np.array([[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]])


@pytest.mark.parametrize(
    ("signature", "output"),
    [
        (BINARY, np.where(GOOD == 0.1, np.nan, GOOD)),
        (BINARY, np.where(GOOD == 0.1, np.inf, GOOD)),
        (BINARY, GOOD[:, :1]),
        (BINARY, GOOD[:, 0]),
        (BINARY, GOOD[:2]),
        (BINARY, np.vstack([GOOD, GOOD])),
        (BINARY, GOOD[:0]),
        (BINARY, GOOD.reshape(3, 1, 2)),
        (BINARY, np.float64(0.5)),
        (BINARY, np.array(["yes", "no", "yes"])),
        (BINARY, np.array([[None, None]] * 3)),
        (BINARY, None),
        (BINARY, [{"no": 0.1, "yes": 0.9}] * 3),
        (TRIPLE, GOOD),
        (VALUE, np.array([1.0, np.nan, 2.0])),
        (VALUE, np.array([1.0, -np.inf, 2.0])),
        (VALUE, np.array([1.0, 2.0])),
        (VALUE, np.array([1.0])),
        (VALUE, GOOD),
        (VALUE, GOOD.reshape(3, 2, 1)),
        (VALUE, np.float64(1.0)),
        (VALUE, None),
    ],
)
def test_output_that_is_no_prediction_is_refused(signature: Signature, output: Any) -> None:
    with pytest.raises(AlgorithmFailed):
        computed(signature, output)


@pytest.mark.parametrize(
    "error",
    [ValueError("hunter2"), MemoryError("hunter2"), RecursionError(), ZeroDivisionError(), AssertionError("hunter2")],
)
def test_what_it_raises_becomes_the_cause_and_stays_out_of_the_message(error: Exception) -> None:
    with pytest.raises(AlgorithmFailed) as failure:
        computed(BINARY, error)
    assert failure.value.__cause__ is error
    assert "hunter2" not in failure.value.message
    assert failure.value.details is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_a_request_to_stop_is_not_swallowed(error: BaseException) -> None:
    with pytest.raises(type(error)):
        computed(BINARY, error)


def test_a_model_that_raises_on_one_row_answers_the_next() -> None:
    signature = Signature((Feature("order", "string"),), "classification", ("no", "yes"))
    algorithm = Algorithm(signature, SklearnRuntime(StrangeClassifier(), signature))
    for order in ("raise", "nan"):
        with pytest.raises(AlgorithmFailed):
            algorithm.compute_prediction([{"order": "fine"}, {"order": order}])
        assert algorithm.compute_prediction([{"order": "fine"}])[0].label == "yes"


def test_rows_that_were_not_validated_are_a_failure_too() -> None:
    with pytest.raises(AlgorithmFailed):
        Algorithm(BINARY, Fixed(GOOD)).compute_prediction([{}, {}, {}])


def failing_step(name: str) -> type[Algorithm]:
    def fail(self: Algorithm, _: Any) -> Any:
        raise LookupError(name)

    return type("Failing", (Algorithm,), {name: fail})


@pytest.mark.parametrize("step", ["preprocess", "predict", "postprocess"])
def test_any_step_may_fail(step: str) -> None:
    with pytest.raises(AlgorithmFailed) as failure:
        failing_step(step)(BINARY, Fixed(GOOD)).compute_prediction(ROWS)
    assert isinstance(failure.value.__cause__, LookupError)


@pytest.mark.parametrize(
    "wrong",
    [
        Prediction(1, 0.5, (0.5, 0.5), None),  # type: ignore[arg-type]
        Prediction("maybe", 0.5, (0.5, 0.5), None),
        Prediction("no", float("nan"), (0.5, 0.5), None),
        Prediction("no", 0.5, (0.5, float("inf")), None),
        Prediction("no", "0.5", (0.5, 0.5), None),  # type: ignore[arg-type]
        Prediction("no", np.float32(0.5), (0.5, 0.5), None),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_class_of_ones_own_answers_with_labels_and_finite_numbers(wrong: Prediction) -> None:
    right = Prediction("no", 0.5, (0.5, 0.5), None)

    class Own(Algorithm):
        def postprocess(self, output: Any) -> list[Prediction]:
            return [right, wrong, right]

    with pytest.raises(AlgorithmFailed):
        Own(BINARY, Fixed(GOOD)).compute_prediction(ROWS)


def test_two_classes_give_the_probability_of_the_second() -> None:
    assert computed(BINARY, GOOD) == [
        Prediction("no", 0.5, (0.5, 0.5), None),
        Prediction("no", 0.1, (0.9, 0.1), None),
        Prediction("yes", 0.9, (0.1, 0.9), None),
    ]


def test_more_classes_give_the_probability_of_the_predicted_one() -> None:
    output = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]])
    assert [(one.label, one.probability) for one in computed(TRIPLE, output)] == [
        ("green", 0.5),
        ("red", 0.4),
        ("blue", 1.0),
    ]


@pytest.mark.parametrize("shape", [np.ravel, lambda values: values.reshape(-1, 1)], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_a_regression_gives_values(shape: Callable[[Any], Any], kind: type) -> None:
    predictions = computed(VALUE, shape(np.array([1, -2, 3], dtype=kind)))
    assert predictions == [Prediction(None, None, None, value) for value in (1.0, -2.0, 3.0)]
    assert all(type(one.value) is float for one in predictions)
