"""Fitted pipelines of every kind, uploaded as .skops: served as their library answers, on ONNX where that is equal."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import zoo
import zoo_pipelines
from servers import Server
from zoo import Kind

ONNX = "ONNX equals the pipeline"
UNEQUAL = "ONNX is not equal"
LOCALE = "depends on the machine's locale"
CATEGORIES = "categories of pandas"
APART = "other labels than the most probable ones"
NO_CONVERTER = "ONNX is not possible"
# Each kind, and what its record says of why it is served as it is.
REASONS = {
    "ridge": ONNX,
    "gradient_boosting_regressor": ONNX,
    "hist_regressor": ONNX,
    "polynomial": ONNX,
    "logistic": ONNX,
    "neighbours": ONNX,
    "bayes": ONNX,
    "perceptron": ONNX,
    "svc": ONNX,
    "svc_probability": APART,
    "svc_agreed": APART,
    "svc_several": APART,
    "fixed_threshold": APART,
    "tuned_threshold": APART,
    "column_selector": ONNX,
    "several_jobs": LOCALE,
    "grid_search": ONNX,
    "gaussian_process": NO_CONVERTER,
    "splines": NO_CONVERTER,
    "tweedie": ONNX,
    "calibrated": ONNX,
    "stacking": ONNX,
    "components": ONNX,
    "scaled_forest": UNEQUAL,
    "integer_labels": ONNX,
    "float_labels": ONNX,
    "renamed_labels": ONNX,
    "truth_labels": ONNX,
    "no_names": ONNX,
    "bare_no_names": ONNX,
    "mixed_one_hot": ONNX,
    "texts_only": ONNX,
    "text_series": LOCALE,
    "text_column": LOCALE,
    "text_and_number": LOCALE,
    "text_characters": "only tokenizer='word'",
    "text_cased": UNEQUAL,
}
BOOSTING_REASONS = {
    "hist_piped": ONNX,
    "lightgbm_piped": ONNX,
    "xgboost_piped": ONNX,
    "lightgbm_regressor": ONNX,
    "xgboost_regressor": ONNX,
    "hist_categories": "texts and numbers side by side",
    "lightgbm_categories": CATEGORIES,
    "lightgbm_words": CATEGORIES,
    "xgboost_categories": CATEGORIES,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with zoo.serving(tmp_path_factory.mktemp("skops") / "home", "asgi") as running:
        yield running


@pytest.fixture(scope="module")
def kinds() -> dict[str, Kind]:
    made = [
        *zoo_pipelines.regressions(),
        *zoo_pipelines.classifiers(),
        *zoo_pipelines.named_apart(),
        *zoo_pipelines.searched(),
        *zoo_pipelines.tables(),
        *zoo_pipelines.texts(),
        *zoo_pipelines.boosting(),
    ]
    return {kind.name: kind for kind in made}


@pytest.fixture(scope="module")
def uploads(server: Server, kinds: dict[str, Kind]) -> dict[str, httpx.Response]:
    return zoo.upload_all(server, list(kinds.values()))


@pytest.mark.parametrize(("name", "reason"), (REASONS | BOOSTING_REASONS).items(), ids=[*REASONS, *BOOSTING_REASONS])
def test_it_is_registered_and_answers_as_its_library(
    server: Server, kinds: dict[str, Kind], uploads: dict[str, httpx.Response], name: str, reason: str
) -> None:
    assert uploads[name].status_code == 201, uploads[name].text
    record = uploads[name].json()
    assert reason in record["runtime_reason"]
    assert record["runtime"] == ("onnx" if reason == ONNX else "sklearn")
    assert record["serves"]["1"] == record["runtime"]
    zoo.assert_serves(server, kinds[name])


def test_every_kind_is_tested(kinds: dict[str, Kind]) -> None:
    assert set(kinds) == set(REASONS | BOOSTING_REASONS)


def test_a_small_model_is_recorded_with_what_one_copy_of_it_takes(uploads: dict[str, httpx.Response]) -> None:
    onnx, native = uploads["logistic"].json(), uploads["text_series"].json()
    assert 0 < onnx["memory_bytes"] < 5_000_000
    assert 30_000_000 < native["memory_bytes"] < 60_000_000


def test_a_category_never_seen_is_one_that_is_missing(
    server: Server, kinds: dict[str, Kind], uploads: dict[str, httpx.Response]
) -> None:
    row = {"age": 40, "sex": None, "education": "Bachelors"}
    for name in ("hist_categories", "lightgbm_categories", "xgboost_categories"):
        features = uploads[name].json()["signature"]["features"]
        whole = {one["name"]: row.get(one["name"], "State-gov" if one["type"] == "string" else 1) for one in features}
        missing = zoo.predict(server, kinds[name], json=whole)
        unseen = zoo.predict(server, kinds[name], json=whole | {"sex": "never seen"})
        assert unseen["probabilities"] == missing["probabilities"], name
