"""A pipeline that has no compiled equal is served by scikit-learn, and the record says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from people import as_rows
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from small_models import TRUSTED, bundle_of, contents, examined, manifest_of, signed, small_frame, small_tree
from strange_models import write_strange_bundle

from ml_pipeline.apps.ml import bundles, compile, loader
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact

TEXTS = pd.DataFrame({"text": ["good one", "bad thing", "very good", "awful bad", "nice good", "bad"] * 5})
MOODS = ["up", "down"] * 15
SEASONS = pd.DataFrame({"season": ["summer", "winter", "autumn"] * 10, "year": range(30)})


def over(column: str, step: Any) -> Pipeline:
    tree = DecisionTreeClassifier(random_state=0)
    return Pipeline([("columns", ColumnTransformer([("it", step, column)])), ("tree", tree)])


def text_model(**settings: Any) -> tuple[Any, pd.DataFrame]:
    return over("text", CountVectorizer(**settings)).fit(TEXTS, MOODS), TEXTS


def season_model(step: Any) -> tuple[Any, pd.DataFrame]:
    return over(["season"], step).fit(SEASONS, MOODS), SEASONS


def scaled_forest() -> tuple[Any, pd.DataFrame]:
    """Scaled in single precision, some wines end up on the other side of a split."""
    frame, target = load_wine(return_X_y=True, as_frame=True)
    return make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0)).fit(frame, target), frame


IMPUTED = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
CASES = {
    "an imputer of strings": (season_model(IMPUTED), "ONNX is not possible: NotImplementedError"),
    "words without accents": (text_model(strip_accents="unicode"), "ONNX is not possible: NotImplementedError"),
    "words in lower case": (text_model(), "depends on the machine's locale (StringNormalizer)"),
    "words of other alphabets": (text_model(lowercase=False), "ONNX is not equal"),
    "a scaler before a forest": (scaled_forest(), "ONNX is not equal"),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_it_is_served_by_scikit_learn_with_the_reason(case: Any, tmp_path: Path) -> None:
    (pipeline, frame), reason = case
    bundle, record = examined(tmp_path / "work", bundle_of(tmp_path / "source", pipeline, frame))
    assert (record.runtime, record.is_isolated) == ("sklearn", True)
    assert reason in record.runtime_reason
    assert len(record.runtime_reason) < 500
    assert (bundle.manifest["runtime"], bundle.manifest["is_isolated"]) == ("sklearn", True)
    assert bundles.ONNX_MODEL not in bundle.files
    assert record.parity is None or not record.parity["holds"]
    algorithm = loader.load_native(bundle, "sklearn", TRUSTED)
    predictions = algorithm.compute_prediction(algorithm.signature.rows(as_rows(frame)))
    assert [one.label for one in predictions] == [str(label) for label in pipeline.predict(frame)]
    np.testing.assert_array_equal([one.probabilities for one in predictions], pipeline.predict_proba(frame))


def test_how_far_the_two_differ_is_written_down(tmp_path: Path) -> None:
    _, record = examined(tmp_path / "work", bundle_of(tmp_path / "source", *scaled_forest()))
    assert record.parity is not None
    assert record.parity["labels_different"] > 0
    assert record.parity["max_abs_difference"] > 0.01
    assert record.parity["rows"] == compile.MIN_PARITY_ROWS
    assert f"{record.parity['labels_different']} labels differ" in record.runtime_reason


def test_it_is_proven_on_every_row_that_came(tmp_path: Path) -> None:
    frame = small_frame(3_000)
    _, record = examined(tmp_path / "work", bundle_of(tmp_path / "source", small_tree(frame), frame))
    assert record.parity is not None
    assert (record.parity["rows"], record.parity["holds"]) == (3_300, True)


def test_a_row_far_down_that_it_fails_on_is_found(tmp_path: Path) -> None:
    frame = pd.DataFrame({"season": ["summer"] * 2_999 + ["monsoon"]})
    steps = make_pipeline(OneHotEncoder(), DecisionTreeClassifier(random_state=0))
    model = steps.fit(frame[:-1], [*MOODS * 99, *MOODS[:29]])
    with pytest.raises(InvalidArtifact, match=r"fails on its own rows.*monsoon"):
        examined(tmp_path / "work", bundle_of(tmp_path / "source", model, frame))


def test_a_model_of_ones_own_has_no_converter_and_is_served(tmp_path: Path) -> None:
    source = signed(Bundle(write_strange_bundle(tmp_path / "source")))
    bundle, record = examined(tmp_path / "work", source)
    assert (record.runtime, record.parity) == ("sklearn", None)
    assert "ONNX is not possible" in record.runtime_reason
    (prediction,) = loader.load_native(bundle, "sklearn", TRUSTED).compute_prediction([{"order": "fine"}])
    assert (prediction.label, prediction.probability) == ("yes", 0.75)


def test_a_converter_that_gives_no_reason_is_no_crash() -> None:
    class Silent:
        @property
        def steps(self) -> Any:
            raise NotImplementedError

    frame = small_frame()
    signature = Signature.from_json(
        {"features": [{"name": name, "type": "number"} for name in frame], "task": "regression"}
    )
    with pytest.raises(compile.CannotCompile, match="NotImplementedError: no reason given"):
        compile.compiled(Silent(), signature)


FRAME = small_frame()
TREE = small_tree(FRAME)
LABELS = TREE.predict(FRAME)
WRONG_ORDER = {**manifest_of(TREE, FRAME)["signature"], "labels": ["plus", "minus"]}
REFUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "has no predict_proba.*CalibratedClassifierCV": (LinearSVC().fit(FRAME, LABELS), {"signature": WRONG_ORDER}),
    "classes are": (TREE, {"signature": WRONG_ORDER}),
    "fails on its own rows": (DecisionTreeClassifier().fit(FRAME[["x"]], LABELS), {}),
    "names an algorithm 'abacus'": (TREE, {"algorithm": "abacus"}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_serve_at_all_is_refused(tmp_path: Path, reason: str) -> None:
    model, changes = REFUSED[reason]
    source = bundle_of(tmp_path / "source", model, FRAME, **changes)
    with pytest.raises(InvalidArtifact, match=reason):
        examined(tmp_path / "work", source)
    assert not (tmp_path / "work" / "bundle").exists()


def test_a_sample_without_rows_is_refused(tmp_path: Path) -> None:
    files = {**contents(TREE, FRAME), bundles.SAMPLE_CSV: b"x,y\n"}
    source = signed(bundles.write_bundle(tmp_path / "source", manifest_of(TREE, FRAME), files))
    with pytest.raises(InvalidArtifact, match="sample has no rows"):
        examined(tmp_path / "work", source)
