"""The command line says what it can do and refuses what it cannot, before it trains anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY

SCRIPT = REPOSITORY / "research" / "train_income_classifier.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)


def test_help_names_every_option(tmp_path: Path) -> None:
    answer = run(tmp_path, "--help")
    assert answer.returncode == 0
    assert "Trains the three income classifiers" in answer.stdout
    for word in ("--out", "--seed", "--only", "random_forest", "extra_trees", "decision_tree"):
        assert word in answer.stdout
    assert answer.stderr == ""


@pytest.mark.parametrize("arguments", [("--only", "abacus"), ("--seed", "many"), ("--tune",), ("bundle",)])
def test_wrong_use_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = run(tmp_path, *arguments)
    assert answer.returncode == 2
    assert "usage:" in answer.stderr
    assert list(tmp_path.iterdir()) == []
