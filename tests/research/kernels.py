"""Notebooks: run whole on a real server, and kept without outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from homes import REPOSITORY
from servers import Server


def run(notebook: Path, server: Server, folder: Path) -> None:
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
    command = [sys.executable, "-m", "pytest", *options, *plugins, str(notebook)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**inherited, **own}, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def assert_without_outputs(notebook: Path) -> None:
    """It is valid, and no cell has run."""
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
