"""The notebook, run whole on a real server, brings its best model into production; a second run changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import kernels
import nbformat
import pytest
from homes import ENDPOINT, REPOSITORY
from people import held_out_people
from servers import Server

from ml_pipeline.client import Client

pytestmark = pytest.mark.long

NOTEBOOK = REPOSITORY / "research" / "notebooks" / "train_income_classifier.ipynb"


def version() -> str:
    """The version that the notebook's parameters name."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    [parameters] = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    values: dict[str, Any] = {}
    exec(parameters.source, values)
    return str(values["VERSION"])


def best_of(bundles: Path) -> str:
    """The best of the script's models, by cross-validation on the training part."""
    manifests = [json.loads(path.read_text()) for path in bundles.glob("*/manifest.json")]
    return str(max(manifests, key=lambda manifest: manifest["cross_validated_accuracy"])["name"])


def test_the_best_model_goes_into_production_once(start: Callable[..., Server], bundles: Path, tmp_path: Path) -> None:
    content, best = NOTEBOOK.read_bytes(), best_of(bundles)
    server = start()
    kernels.run(NOTEBOOK, server, tmp_path)
    with Client(server.url, server.home.keys["admin"]) as client:
        [serving] = client.algorithms(ENDPOINT, status="production")
        assert (serving["name"], serving["version"]) == (best, version())
        assert f"class {best.title().replace('_', '')}IncomeClassifier(" in serving["code"]
        assert serving["tags"]["source"] == "notebook"
        people = held_out_people().head(50)
        replies = client.predict(ENDPOINT, people)
        assert {(one["algorithm"], one["version"]) for one in replies} == {(best, version())}
        assert [one["label"] for one in replies] == list(joblib.load(bundles / best / "model.joblib").predict(people))
        registered, steps = client.algorithms(ENDPOINT), client.history(ENDPOINT)

        kernels.run(NOTEBOOK, server, tmp_path)
        assert client.algorithms(ENDPOINT) == registered
        assert client.history(ENDPOINT) == steps
    assert NOTEBOOK.read_bytes() == content


def test_the_notebook_is_kept_without_outputs() -> None:
    kernels.assert_without_outputs(NOTEBOOK)
