"""Each trained bundle states what it is made of and from, completely and truly."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import trained
from homes import REPOSITORY
from people import PERSON, as_rows, held_out_people

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import REFERENCE_CSV, SAMPLE_CSV, Bundle

ENTRY_POINTS = {
    "random_forest": "income-random-forest",
    "extra_trees": "income-extra-trees",
    "decision_tree": "income-decision-tree",
}


@pytest.fixture(params=ENTRY_POINTS)
def bundle(request: pytest.FixtureRequest, bundles: Path) -> Bundle:
    return Bundle(bundles / request.param)


def test_there_are_three(bundles: Path) -> None:
    assert {path.name for path in bundles.iterdir()} == set(ENTRY_POINTS)


def test_its_files_are_those_that_the_manifest_names(bundle: Bundle) -> None:
    bundle.verify()
    on_disk = {path.name for path in bundle.folder.iterdir()}
    assert (
        on_disk == {"manifest.json", *bundle.files} == {"manifest.json", "model.joblib", "sample.csv", "reference.csv"}
    )
    for name, about in bundle.manifest["files"].items():
        assert about == {"sha256": hashlib.sha256((bundle.folder / name).read_bytes()).hexdigest()}


def test_it_names_its_algorithm(bundle: Bundle) -> None:
    name = bundle.manifest["name"]
    assert name == bundle.folder.name
    assert bundle.manifest["algorithm"] == ENTRY_POINTS[name]
    assert issubclass(loader.algorithm_class(ENTRY_POINTS[name]), Algorithm)


def test_it_names_the_libraries_it_was_made_with(bundle: Bundle) -> None:
    named = {name: version(name) for name in ("scikit-learn", "numpy", "pandas", "joblib")}
    assert bundle.manifest["libraries"] == {"python": platform.python_version(), **named}


def test_it_names_its_data_by_digest(bundle: Bundle) -> None:
    data = REPOSITORY / "research" / "data"
    assert bundle.manifest["data"] == {
        name: hashlib.sha256((data / name).read_bytes()).hexdigest()
        for name in ("adult_train.csv.gz", "adult_test.csv.gz")
    }


def test_it_names_the_commit_it_was_made_from(bundle: Bundle) -> None:
    commit = bundle.manifest["git_commit"]
    if not (REPOSITORY / ".git").exists():
        assert commit is None
    else:
        known = subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], check=False, cwd=REPOSITORY)
        assert known.returncode == 0


def test_its_settings_are_those_of_the_model(bundle: Bundle) -> None:
    settings: dict[str, Any] = dict(bundle.manifest["settings"])
    assert bundle.manifest["seed"] == 0
    pipeline = trained.pipeline(bundle)
    assert pipeline.named_steps["select"].k == settings.pop("select")
    used = pipeline.named_steps["classifier"].get_params()
    assert used.get("n_estimators") == settings.pop("trees", None)
    assert settings
    assert settings.items() <= used.items()
    assert used["random_state"] == 0


def test_its_signature_is_that_of_the_data(bundle: Bundle) -> None:
    signature = bundle.signature
    assert [feature.name for feature in signature.features] == list(PERSON)
    assert all(feature.nullable for feature in signature.features)
    assert signature.task == "classification"
    assert signature.labels == ("<=50K", ">50K")
    train = pd.read_csv(REPOSITORY / "research" / "data" / "adult_train.csv.gz")
    for feature in signature.features:
        if isinstance(PERSON[feature.name], str):
            assert feature.type == "string"
            assert list(feature.categories) == sorted(train[feature.name].dropna().unique())
        else:
            assert (feature.type, feature.categories) == ("integer", ())


def test_its_rows_are_people_of_the_test_part(bundle: Bundle) -> None:
    sample, reference = trained.rows(bundle, SAMPLE_CSV), trained.rows(bundle, REFERENCE_CSV)
    assert (len(sample), len(reference)) == (64, 5_000)
    assert reference[:64] == sample
    people = {tuple(row.values()) for row in as_rows(held_out_people())}
    assert {tuple(row.values()) for row in reference} <= people
    assert any(None in row.values() for row in sample)


def test_its_reference_rows_carry_their_labels(bundle: Bundle) -> None:
    reference = pd.read_csv(bundle.folder / "reference.csv")
    label = bundle.manifest["label_column"]
    assert label == "income"
    assert set(reference[label]) == set(bundle.signature.labels)
    assert list(reference.columns) == [*PERSON, label]


def test_its_model_predicts_on_one_core(bundle: Bundle) -> None:
    pipeline = joblib.load(bundle.folder / "model.joblib")
    assert getattr(pipeline.named_steps["classifier"], "n_jobs", None) is None
