"""The three income classifiers are served by ONNX because it was proven that nobody can see the difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from people import as_rows, held_out_people

from ml_pipeline.apps.ml import artifacts, compile, registration
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.apps.ml.income_classifier.classifier import IncomeClassifier
from ml_pipeline.apps.ml.registration import Registered

NAMES = ("random_forest", "extra_trees", "decision_tree")


@pytest.mark.parametrize("name", NAMES)
def test_the_record_holds_the_proof(registered: dict[str, Registered], name: str) -> None:
    record = registered[name]
    assert record.runtime == "onnx"
    assert record.parity is not None
    assert record.parity["holds"]
    assert record.parity["labels_different"] == 0
    assert record.parity["rows"] > 5_000
    assert record.runtime_reason == f"ONNX equals the pipeline on {record.parity['rows']} rows"
    assert record.parity["max_abs_difference"] <= compile.TOLERANCE == record.parity["tolerance"]


@pytest.mark.parametrize("name", NAMES)
def test_the_record_describes_the_algorithm(
    registered: dict[str, Registered], store: ArtifactStore, bundles: Path, name: str
) -> None:
    record, source = registered[name], Bundle(bundles / name)
    bundle = store.bundle(record.digest)
    assert record.source_digest == source.digest == bundle.manifest["source_digest"]
    assert record.signature == source.manifest["signature"] == bundle.manifest["signature"]
    assert record.metrics == source.manifest["metrics"]
    assert record.code.startswith("class ")
    assert record.description
    assert set(bundle.files) == {*source.files, "model.onnx"}
    assert isinstance(store.load(record.digest), IncomeClassifier)
    assert store.load(record.digest).runtime.name == "onnx"


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_the_notebook_on_every_row_of_the_test_part(
    registered: dict[str, Registered], store: ArtifactStore, bundles: Path, name: str
) -> None:
    frame = held_out_people()
    pipeline = artifacts.load_pipeline(Bundle(bundles / name))
    algorithm = store.load(registered[name].digest)
    predictions = algorithm.compute_prediction(algorithm.signature.rows(as_rows(frame)))
    assert [one.label for one in predictions] == pipeline.predict(frame).tolist()
    probabilities = np.array([one.probabilities for one in predictions])
    # The training script rounds the votes so that their mean is exact, in single precision too.
    np.testing.assert_array_equal(probabilities, pipeline.predict_proba(frame))


@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_on_other_made_up_rows_than_those_of_its_proof(
    registered: dict[str, Registered], store: ArtifactStore, name: str
) -> None:
    bundle = store.bundle(registered[name].digest)
    native, compiled = (artifacts.load_algorithm(bundle, runtime) for runtime in ("sklearn", "onnx"))
    rows = compile.parity_rows(bundle.signature, bundle.rows(artifacts.SAMPLE), seed=1)
    proof = compile.parity(native, compiled, rows)
    assert proof.rows == len(rows) >= compile.MIN_PARITY_ROWS
    assert proof.holds


def test_registering_again_gives_the_same_bundle(
    registered: dict[str, Registered], bundles: Path, tmp_path: Path
) -> None:
    again = registration.prepared(Bundle(bundles / "decision_tree"), ArtifactStore(tmp_path))
    assert again == registered["decision_tree"]


def test_the_rows_of_a_proof_hold_everything_that_may_come(
    registered: dict[str, Registered], store: ArtifactStore
) -> None:
    bundle = store.bundle(registered["decision_tree"].digest)
    known = bundle.rows(artifacts.SAMPLE)
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
