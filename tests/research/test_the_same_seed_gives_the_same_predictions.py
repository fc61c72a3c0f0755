"""Training is repeatable: the same seed gives the same bits, alone or with the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trained
from homes import REPOSITORY
from people import held_out_people

from ml_pipeline.apps.ml.bundles import Bundle

SCRIPT = REPOSITORY / "research" / "train_income_classifier.py"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decision tree, trained alone, by a process with another hash seed, in another folder."""
    folder = tmp_path_factory.mktemp("again")
    command = [sys.executable, str(SCRIPT), "--out", str(folder / "out"), "--only", "decision_tree", "--seed", "0"]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return folder / "out"


def test_only_what_was_asked_for_is_trained(again: Path) -> None:
    assert [path.name for path in again.iterdir()] == ["decision_tree"]


def test_its_predictions_are_the_same_to_the_last_bit(again: Path, bundles: Path) -> None:
    people = held_out_people()
    first, second = (trained.pipeline(Bundle(folder / "decision_tree")) for folder in (bundles, again))
    assert first.predict_proba(people).tobytes() == second.predict_proba(people).tobytes()
    np.testing.assert_array_equal(first.predict(people), second.predict(people))


def test_its_manifest_is_the_same_but_for_when_it_was_made(again: Path, bundles: Path) -> None:
    manifests = [dict(Bundle(folder / "decision_tree").manifest) for folder in (bundles, again)]
    for manifest in manifests:
        manifest.pop("created_at")
        manifest.pop("git_commit")  # somebody may commit while the tests run
        manifest["files"].pop("model.joblib")
    assert manifests[0] == manifests[1]
