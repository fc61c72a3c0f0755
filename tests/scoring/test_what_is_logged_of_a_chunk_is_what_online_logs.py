"""The log's text of an input and a reply is, byte for byte, what a prediction over HTTP would have logged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import scorers
import small_forests
from people import as_rows, held_out_people
from sklearn.linear_model import LinearRegression
from small_forests import Bundle

from ml_pipeline.apps.endpoints.input_rules import REDACTED, InputRule
from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.scoring import logged
from ml_pipeline.apps.ml.scoring.jobs import Logging
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.apps.predictions.calls import Call, Question
from ml_pipeline.apps.predictions.routing import Selection

_encoded = msgspec.json.Encoder().encode


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_forests.income_forest(tmp_path_factory.mktemp("forest") / "bundle")


def agrees(bundle: Bundle, frame: pd.DataFrame, tmp_path: Path, rule: InputRule | None = None, **changes: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(frame.to_csv(index=False).encode())
    _, found = scorers.scored(bundle, path, **changes)
    entries = [one for part in found for one in logged.entries(part.logged or b"")]
    algorithm = loader.load_onnx(bundle)
    rows = algorithm.signature.rows(as_rows(frame))
    assert len(entries) == len(rows)
    for entry, row, prediction in zip(entries, rows, algorithm.compute_prediction(rows), strict=True):
        dashed = "-".join((entry.id[:8], entry.id[8:12], entry.id[12:16], entry.id[16:20], entry.id[20:]))
        kept = row if rule is None else rule.kept(dashed, row)
        assert entry.input_data == _encoded(kept).decode()
        call = object.__new__(Call)
        call.route = type("Route", (), {"name": "forest", "version": "1.0", "endpoint": "income_classifier"})()
        call.question = Question("income_classifier", Selection(), None, bool(changes.get("probabilities")))
        call.signature = algorithm.signature
        assert entry.full_response == _encoded(call._reply(dashed, prediction)).decode()
        assert entry.response == (prediction.label if prediction.value is None else repr(prediction.value))
        assert entry.probability == prediction.probability


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_binary_classification(forest: Bundle, tmp_path: Path, probabilities: bool) -> None:
    agrees(forest, held_out_people().sample(500, random_state=3), tmp_path, probabilities=probabilities)


def test_three_classes(tmp_path: Path) -> None:
    frame = held_out_people()[["age", "fnlwgt", "hours-per-week"]].astype(float).head(200)
    agrees(small_forests.flowers(tmp_path / "bundle"), frame, tmp_path)


def test_values_and_every_type_of_feature(tmp_path: Path) -> None:
    text = "x,whole,is_so\n0.1,1,true\n1e300,2,false\n-1e-7,9007199254740991,true\n12345678.9,-3,false\n100,0,true\n"
    frame = pd.read_csv(io.StringIO(text))
    frame["x"] = frame["x"].clip(-1e30, 1e30)
    model = LinearRegression().fit(frame.astype(float), np.arange(5.0))
    features = (Feature("x", "number"), Feature("whole", "integer", nullable=True), Feature("is_so", "boolean"))
    bundle = small_forests.compiled(tmp_path / "bundle", model, Signature(features, "regression"), frame.head(3))
    agrees(bundle, frame.assign(is_so=frame["is_so"].astype(bool)), tmp_path)


def test_an_endpoints_rule_keeps_back_what_it_says(forest: Bundle, tmp_path: Path) -> None:
    rule = InputRule(redact=frozenset({"age", "workclass"}), store_inputs=0.4)
    terms = Logging("forest", "1.0", "income_classifier", ("age", "workclass"), REDACTED, 0.4)
    agrees(forest, held_out_people().sample(500, random_state=4), tmp_path, rule, logging=terms)
