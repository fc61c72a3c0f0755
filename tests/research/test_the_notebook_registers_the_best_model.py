"""The notebook, run whole on a real server, brings its best model into production; a second run changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import nbformat
import pytest
from homes import ENDPOINT, REPOSITORY
from people import held_out_people
from servers import Server

from ml_pipeline.client import Client

pytestmark = pytest.mark.long

NOTEBOOK = REPOSITORY / "research" / "notebooks" / "train_income_classifier.ipynb"


def run_notebook(server: Server, folder: Path) -> None:
    """Runs every cell in a kernel of this Python, with the server's address and an admin key in its environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ML_PIPELINE_", "PYTEST_"))}
    own = {
        "ML_PIPELINE_URL": server.url,
        "ML_PIPELINE_API_KEY": server.home.keys["admin"],
        "MPLBACKEND": "Agg",
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
    }
    # The notebook is a program of its own: neither these tests' Django nor their options belong to it.
    options = ["--nbmake", "--nbmake-timeout=300", "-n", "0", "-o", "addopts=", f"--rootdir={REPOSITORY}"]
    plugins = ["-p", "no:cacheprovider", "-p", "no:django"]
    command = [sys.executable, "-m", "pytest", *options, *plugins, str(NOTEBOOK)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**inherited, **own}, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
    run_notebook(server, tmp_path)
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

        run_notebook(server, tmp_path)
        assert client.algorithms(ENDPOINT) == registered
        assert client.history(ENDPOINT) == steps
    assert NOTEBOOK.read_bytes() == content


def test_the_notebook_is_kept_without_outputs() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
