"""A wrong setting stops the start, and the message says which, what was expected and what came."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY, Home

from ml_pipeline.server import configuration


def start(home: Home, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "backend/manage.py", "check", *options],
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
        ("ML_PIPELINE_SECRET_KEY", "secret" * 10, "(ml_pipeline.E003)"),
        ("ML_PIPELINE_SECRET_KEY", "django-insecure-0123456789abcdef0123456789abcdef", "(ml_pipeline.E003)"),
        ("ML_PIPELINE_QUEUE_ROW", "5", "(ml_pipeline.E000) ML_PIPELINE_QUEUE_ROW: there is no such setting"),
        (
            "ML_PIPELINE_TRUSTED_PROXIES",
            "10.0.0.1/8",
            "(ml_pipeline.E017) ML_PIPELINE_TRUSTED_PROXIES: expected addresses",
        ),
        (
            "ML_PIPELINE_RAY_ADDRESS",
            "ray://head:10001",
            "(ml_pipeline.E027) ML_PIPELINE_RAY_ADDRESS: expected HOST:PORT",
        ),
        ("ML_PIPELINE_RAY_ADDRESS", "head", "(ml_pipeline.E027)"),
        ("PORT", "0", "(ml_pipeline.E008)"),
    ],
)
def test_a_wrong_one_is_named(prepared_home: Home, name: str, value: str, told: str) -> None:
    done = start(prepared_home, **{name: value})
    assert done.returncode != 0
    assert told in done.stderr


def test_a_cluster_needs_its_extra(prepared_home: Home) -> None:
    code = (
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'ray' else found(name)\n"
        "import ml_pipeline.server.settings"
    )
    environment = {**prepared_home.environment, "ML_PIPELINE_RAY_ADDRESS": "127.0.0.1:6379"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "(ml_pipeline.E027) ML_PIPELINE_RAY_ADDRESS: it needs the extra `ray`" in done.stderr


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


def test_full_errors_are_shown_to_this_machine_alone(prepared_home: Home) -> None:
    done = start(prepared_home, ML_PIPELINE_DEBUG="1", HOST="0.0.0.0")
    assert "(ml_pipeline.E004) ML_PIPELINE_DEBUG: full errors are not for others" in done.stderr
    for host in ("127.0.0.1", "::1", "localhost"):
        assert start(prepared_home, ML_PIPELINE_DEBUG="1", HOST=host).returncode == 0


def test_what_a_production_deployment_sets_passes_djangos_own_checks(prepared_home: Home) -> None:
    production = {
        "ML_PIPELINE_SECRET_KEY": secrets.token_urlsafe(48),
        "ML_PIPELINE_ALLOWED_HOSTS": "ml.example.com",
        "ML_PIPELINE_TLS": "1",
        "ML_PIPELINE_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    done = start(prepared_home, "--deploy", "--fail-level", "WARNING", **production)
    assert done.returncode == 0, done.stderr
    done = start(prepared_home, "--deploy", "--fail-level", "WARNING", **production, ML_PIPELINE_DEBUG="1")
    assert "security.W018" in done.stderr


def test_without_a_secret_key_nothing_starts_and_nothing_is_made(tmp_path: Path) -> None:
    done = start(Home(tmp_path / "none"))
    assert "There is no secret key. Set ML_PIPELINE_SECRET_KEY" in done.stderr
    assert not (tmp_path / "none").exists()


def test_the_defaults_are_good() -> None:
    assert configuration.read({})["PORT"] == 8000
    assert len({setting.check for setting in configuration.TABLE}) == len(configuration.TABLE)
