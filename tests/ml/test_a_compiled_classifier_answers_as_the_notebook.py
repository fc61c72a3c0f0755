"""The three income classifiers are served by ONNX because it was proven that nobody can see the difference."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from people import as_rows, held_out_people
from small_models import TRUSTED, Kept, examined, signed

from ml_pipeline.apps.ml import compile, loader
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.income_classifier.classifier import IncomeClassifier

NAMES = ("random_forest", "extra_trees", "decision_tree")


@pytest.mark.parametrize("name", NAMES)
def test_the_record_holds_the_proof(registered: dict[str, Kept], name: str) -> None:
    record = registered[name].record
    assert record.runtime == "onnx"
    assert record.parity is not None
    assert record.parity["holds"]
    assert record.parity["labels_different"] == 0
    # As many as there is time for.
    assert record.parity["rows"] >= compile.MIN_PARITY_ROWS
    assert record.runtime_reason == f"ONNX equals the pipeline on {record.parity['rows']} rows"
    assert record.parity["max_abs_difference"] <= compile.TOLERANCE == record.parity["tolerance"]


@pytest.mark.parametrize("name", NAMES)
def test_the_record_describes_the_algorithm(
    registered: dict[str, Kept], store: ArtifactStore, bundles: Path, name: str
) -> None:
    (digest, record), source = registered[name], Bundle(bundles / name)
    bundle = store.bundle(digest)
    assert record.signature == source.manifest["signature"] == bundle.manifest["signature"]
    assert record.metrics == source.manifest["metrics"]
    assert record.code.startswith("class ")
    assert record.description
    assert record.memory_bytes == bundle.manifest["memory_bytes"] >= len(bundle.read("model.onnx"))
    assert record.reference_profile is not None
    assert set(record.timings_us) == {"onnx", "sklearn"}
    assert set(bundle.files) == {"model.joblib", "model.onnx", "origin.json", "origin.sig", "sample.json"}
    assert bundle.read("model.joblib") == source.read("model.joblib")
    assert bundle.read("origin.json") == source.document
    assert not record.is_isolated
    algorithm = loader.load_onnx(bundle)
    assert isinstance(algorithm, IncomeClassifier)
    assert algorithm.runtime.name == "onnx"


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_the_notebook_on_every_row_of_the_test_part(
    registered: dict[str, Kept], store: ArtifactStore, name: str
) -> None:
    frame = held_out_people()
    bundle = store.bundle(registered[name].digest)
    pipeline = loader.load_pipeline(bundle, TRUSTED)
    algorithm = loader.load_onnx(bundle)
    predictions = algorithm.compute_prediction(algorithm.signature.rows(as_rows(frame)))
    assert [one.label for one in predictions] == pipeline.predict(frame).tolist()
    probabilities = np.array([one.probabilities for one in predictions])
    # The training script rounds the votes so that their mean is exact, in single precision too.
    np.testing.assert_array_equal(probabilities, pipeline.predict_proba(frame))


@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_on_other_made_up_rows_than_those_of_its_proof(
    registered: dict[str, Kept], store: ArtifactStore, name: str
) -> None:
    bundle = store.bundle(registered[name].digest)
    native, compiled = (loader.load_native(bundle, runtime, TRUSTED) for runtime in ("sklearn", "onnx"))
    rows = compile.parity_rows(bundle.signature, bundle.sample(), seed=1)
    proof = compile.parity(native, compiled, rows)
    assert proof.rows == len(rows) >= compile.MIN_PARITY_ROWS
    assert proof.holds


def test_registering_again_gives_the_same_content_and_the_same_files(
    registered: dict[str, Kept], store: ArtifactStore, bundles: Path, tmp_path: Path
) -> None:
    digest, record = registered["decision_tree"]
    source = signed(Bundle(Path(shutil.copytree(bundles / "decision_tree", tmp_path / "source"))))
    bundle, again = examined(tmp_path / "work", source)
    assert again.content_digest == record.content_digest
    assert bundle.files == store.bundle(digest).files
    # What was measured may differ, and with it how many rows there was time for in the proof.
    measured = ("memory_bytes", "timings_us", "serves", "parity", "runtime_reason")
    assert again.parity is not None
    assert again.parity["holds"]
    assert replace(again, **{name: getattr(record, name) for name in measured}) == record


def test_the_rows_of_a_proof_hold_everything_that_may_come(registered: dict[str, Kept], store: ArtifactStore) -> None:
    bundle = store.bundle(registered["decision_tree"].digest)
    known = bundle.sample()
    rows = compile.parity_rows(bundle.signature, known, seed=0)
    assert (
        rows
        == compile.parity_rows(bundle.signature, known, seed=0)
        != compile.parity_rows(bundle.signature, known, seed=1)
    )
    assert rows[: len(known)] == known
    assert bundle.signature.rows(rows) == rows
    for feature in bundle.signature.features:
        values = {row[feature.name] for row in rows[len(known) :]}
        assert None in values
        assert values - {row[feature.name] for row in known} - {None}
        if feature.type == "string":
            assert any("never seen" in str(value) for value in values)
            assert any("é" in str(value) for value in values)
    assert len(compile.parity_rows(bundle.signature, known * 100)) == 64 * 100 + 640
