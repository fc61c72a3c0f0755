"""A wrong setting stops the start, and the message says which, what was expected and what came."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY, Home

from ml_pipeline.server import configuration


def start(home: Home, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "backend/manage.py", "check"],
        env={**home.environment, **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ML_PIPELINE_QUEUE_ROWS", "many", "(ml_pipeline.E006) ML_PIPELINE_QUEUE_ROWS: expected an integer"),
        ("ML_PIPELINE_DEBUG", "maybe", "(ml_pipeline.E004) ML_PIPELINE_DEBUG: expected 0 or 1, got 'maybe'"),
        ("ML_PIPELINE_DATABASE_URL", "oracle://x", "(ml_pipeline.E002)"),
        ("ML_PIPELINE_SECRET_KEY", "short", "(ml_pipeline.E003)"),
        ("ML_PIPELINE_QUEUE_ROW", "5", "(ml_pipeline.E000) ML_PIPELINE_QUEUE_ROW: there is no such setting"),
        (
            "ML_PIPELINE_TRUSTED_PROXIES",
            "10.0.0.1/8",
            "(ml_pipeline.E017) ML_PIPELINE_TRUSTED_PROXIES: expected addresses",
        ),
        ("PORT", "0", "(ml_pipeline.E008)"),
    ],
)
def test_a_wrong_one_is_named(prepared_home: Home, name: str, value: str, told: str) -> None:
    done = start(prepared_home, **{name: value})
    assert done.returncode != 0
    assert told in done.stderr


def test_a_wrong_secret_is_not_shown(prepared_home: Home) -> None:
    done = start(prepared_home, ML_PIPELINE_DATABASE_URL="oracle://bob:hunter2@db/x", ML_PIPELINE_SECRET_KEY="hunter3")
    assert "E002" in done.stderr
    assert "hunter" not in done.stderr


def test_a_secret_key_file_that_is_too_short_is_refused(prepared_home: Home, tmp_path: Path) -> None:
    home = prepared_home.copy(tmp_path / "home")
    (home.folder / "secret_key").write_text("abc")
    assert "fewer than 32 characters" in start(home).stderr


def test_everything_wrong_is_told_at_once(prepared_home: Home) -> None:
    done = start(prepared_home, ML_PIPELINE_DEBUG="maybe", PORT="x")
    assert "E004" in done.stderr
    assert "E008" in done.stderr


def test_without_a_secret_key_nothing_starts_and_nothing_is_made(tmp_path: Path) -> None:
    done = start(Home(tmp_path / "none"))
    assert "There is no secret key. Set ML_PIPELINE_SECRET_KEY" in done.stderr
    assert not (tmp_path / "none").exists()


def test_the_defaults_are_good() -> None:
    assert configuration.read({})["PORT"] == 8000
    assert len({setting.check for setting in configuration.TABLE}) == len(configuration.TABLE)
