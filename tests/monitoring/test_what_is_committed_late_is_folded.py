"""Of two connections the one that drew its numbers first commits last: what it wrote is folded into its own hour."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY, Home

HERE = Path(__file__).parent


@pytest.mark.parametrize("url", ["postgres_url", pytest.param("mysql_url", marks=pytest.mark.services)])
def test_a_smaller_number_that_is_committed_after_a_larger_one_is_folded(
    url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home", request.getfixturevalue(url)).make()
    environment = {**home.environment, "PYTHONPATH": f"{REPOSITORY / 'tests'}:{HERE}"}
    command = [sys.executable, str(HERE / "late.py")]
    printed = subprocess.run(command, env=environment, cwd=REPOSITORY, check=True, text=True, stdout=subprocess.PIPE)
    before, after, told, all_told = json.loads(printed.stdout)
    assert before == {"requests": {"1": 2}, "labelled": {}, "holes": {"batches": [[1, 1]], "feedback": []}}
    assert after == {"requests": {"0": 3, "1": 2}, "labelled": {}, "holes": {"batches": [], "feedback": []}}
    assert told["labelled"] == {"1": 1}
    assert told["holes"]["feedback"] == [[1, 1]]
    assert all_told == {**after, "labelled": {"0": 1, "1": 1}}
