"""An encoder that refuses what it never saw closes its feature: registration finds out, and rows are judged by it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from people import as_rows
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from small_models import TRUSTED, bundle_of, examined

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration import examination
from ml_pipeline.apps.ml.registration.submission import FileGiven, Registered, Submission, work_files
from ml_pipeline.errors import InvalidArtifact, InvalidInput

CITIES = [*(["Oslo", "Lima", "Kyiv"] * 20), "Rome", "Rome"]
PEOPLE = pd.DataFrame({"age": range(20, 82), "city": CITIES, "rank": [1, 2, 3, 4] * 15 + [1, 9]})
BUYS = ["no", "yes"] * 31
# Neither Rome nor the rank 9 is in it.
SAMPLE = PEOPLE.head(40)


def model(encoder: Any, last: Any = None) -> Any:
    columns = make_column_transformer((encoder, ["city", "rank"]), remainder="passthrough")
    return make_pipeline(columns, last or LogisticRegression(max_iter=10_000)).fit(PEOPLE, BUYS)


def registered(folder: Path, pipeline: Any, sample: pd.DataFrame, **metadata: Any) -> tuple[Bundle, Registered]:
    """What comes of an upload of `pipeline` with `sample` as Parquet."""
    folder.mkdir(exist_ok=True)
    (folder / "model.skops").write_bytes(skops.io.dumps(pipeline))
    content = io.BytesIO()
    sample.to_parquet(content, index=False)
    (folder / "sample.parquet").write_bytes(content.getvalue())
    submission = Submission(
        FileGiven(str(folder / "model.skops"), "skops"),
        sample=FileGiven(str(folder / "sample.parquet"), "parquet"),
        metadata=metadata,
    )
    examination.examine(submission, folder, lambda step: None)
    _, made, record = work_files(folder)
    return Bundle(made), Registered.from_json(record.read_text(encoding="utf-8"))


def feature(record: Registered, name: str) -> dict[str, Any]:
    return next(one for one in record.signature["features"] if one["name"] == name)


ENCODERS = {"one hot": OneHotEncoder(), "ordinal": OrdinalEncoder()}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_its_categories_are_the_encoders_and_it_is_served_by_onnx(tmp_path: Path, encoder: Any) -> None:
    pipeline = model(encoder)
    bundle, record = registered(tmp_path, pipeline, SAMPLE)
    assert feature(record, "city")["categories"] == ["Kyiv", "Lima", "Oslo", "Rome"]
    assert feature(record, "rank")["categories"] == ["1", "2", "3", "4", "9"]
    assert [feature(record, name)["closed"] for name in PEOPLE] == [False, True, True]
    assert record.runtime == "onnx", record.runtime_reason
    algorithm = loader.load_onnx(bundle)
    served = algorithm.compute_prediction(algorithm.signature.rows(as_rows(PEOPLE)))
    np.testing.assert_allclose([one.probabilities for one in served], pipeline.predict_proba(PEOPLE), atol=1e-5)
    assert_refuses(algorithm)


def assert_refuses(algorithm: Algorithm) -> None:
    with pytest.raises(InvalidInput) as refusal:
        algorithm.signature.rows([{"age": 30, "city": "Oslo", "rank": 1}, {"age": 30, "city": "Bonn", "rank": 5}])
    assert [(one.row, one.field, one.got) for one in refusal.value.complaints] == [
        (1, "city", '"Bonn"'),
        (1, "rank", "5"),
    ]


def test_what_has_no_converter_is_closed_all_the_same(tmp_path: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(), model(OrdinalEncoder()))
    bundle, record = examined(
        tmp_path / "work", bundle_of(tmp_path / "source", pipeline.fit(SAMPLE, BUYS[:40]), SAMPLE)
    )
    # What the transformer before the encoder makes of values is not known; the rows are.
    assert feature(record, "city")["closed"]
    assert feature(record, "city")["categories"] == ["Kyiv", "Lima", "Oslo"]
    algorithm = loader.load_native(bundle, "sklearn", TRUSTED)
    with pytest.raises(InvalidInput, match='expected one of "Kyiv", "Lima", "Oslo"'):
        algorithm.signature.rows([{"age": 30, "city": "Rome", "rank": 1}])


def test_an_encoder_that_takes_everything_closes_nothing(tmp_path: Path) -> None:
    _, record = registered(tmp_path, model(OneHotEncoder(handle_unknown="ignore")), SAMPLE)
    assert [feature(record, name)["closed"] for name in PEOPLE] == [False, False, False]
    assert feature(record, "city")["categories"] == ["Kyiv", "Lima", "Oslo"]


class Weekday(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The day of the week of texts that are dates; what is no date raises."""

    def fit(self, frame: Any, _: Any = None) -> Weekday:
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        return self

    def transform(self, frame: Any) -> Any:
        return np.column_stack([pd.to_datetime(frame[name]).dt.day_of_week for name in frame])


def test_a_model_that_reads_texts_stays_open_to_others_like_them(tmp_path: Path) -> None:
    days = pd.DataFrame({"day": [f"2024-0{month}-1{day}" for month in range(1, 9) for day in range(9)]})
    pipeline = make_pipeline(Weekday(), DecisionTreeClassifier()).fit(days, ["a", "b"] * 36)
    bundle, record = examined(tmp_path / "work", bundle_of(tmp_path / "source", pipeline, days))
    assert feature(record, "day")["closed"] is False
    assert bundle.signature.rows([{"day": "2031-12-24"}])


def test_too_many_values_of_an_unknown_kind_close_nothing(tmp_path: Path) -> None:
    codes = pd.DataFrame({"code": [f"code {number}" for number in range(300)]})
    labels = ["a", "b"] * 150
    through = make_pipeline(FunctionTransformer(), OrdinalEncoder(), DecisionTreeClassifier()).fit(codes, labels)
    _, record = examined(tmp_path / "through", bundle_of(tmp_path / "first", through, codes))
    assert feature(record, "code") == {
        "name": "code",
        "type": "string",
        "nullable": False,
        "categories": [],
        "closed": False,
    }
    direct = make_pipeline(OrdinalEncoder(), DecisionTreeClassifier()).fit(codes, labels)
    _, record = examined(tmp_path / "direct", bundle_of(tmp_path / "second", direct, codes))
    assert feature(record, "code")["closed"]
    assert len(feature(record, "code")["categories"]) == 300


def test_what_may_be_missing_must_not_make_the_model_fail(tmp_path: Path) -> None:
    features = [
        {"name": name, "type": kind, "nullable": name == "age"}
        for name, kind in {"age": "number", "city": "string", "rank": "integer"}.items()
    ]
    with pytest.raises(InvalidArtifact, match=r"'age' may be missing.*contains NaN"):
        registered(tmp_path, model(OneHotEncoder()), SAMPLE, signature={"features": features})


def test_a_declared_closed_feature_is_held_to_its_categories(tmp_path: Path) -> None:
    features = [
        {"name": "age", "type": "number"},
        {"name": "city", "type": "string", "categories": ["Kyiv", "Lima", "Oslo"], "closed": True},
        {"name": "rank", "type": "integer"},
    ]
    pipeline = model(OneHotEncoder(handle_unknown="ignore"))
    _, record = registered(tmp_path, pipeline, SAMPLE, signature={"features": features})
    assert feature(record, "city") == {**features[1], "nullable": False}
    assert record.signature["labels"] == ["no", "yes"]
    with pytest.raises(InvalidArtifact, match=f"row {len(PEOPLE) - 2}, field 'city': expected one of"):
        registered(tmp_path / "all", pipeline, PEOPLE, signature={"features": features})
